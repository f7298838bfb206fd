import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesOf } from '../../api/http/batches.ts';
import { linesOf, type Line } from '../../api/http/lines.ts';

const collect = async <T>(source: AsyncIterable<readonly T[]>): Promise<T[]> => {
  const all: T[] = [];
  for await (const some of source) all.push(...some);
  return all;
};

async function* cutAt(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    const to = Math.min(Math.max(from, cut), bytes.length);
    yield bytes.subarray(from, to);
    from = to;
  }
}

const shown = (line: Line) =>
  line.kind === 'whole' ? `${line.number} ${line.bytes.toString()}` : `${line.number} ${line.kind}`;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('lines of a stream', () => {
  it('are the same, however the stream is cut', async () => {
    const line = fc.constantFrom('', ' ', '\r', 'a', 'bb', '{"a":1}', 'é', '0123456789', '0123456789a');
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 20 }),
        fc.boolean(),
        fc.array(fc.nat(80), { maxLength: 10 }),
        async (texts, ended, cuts) => {
          const body = Buffer.from(texts.join('\n') + (ended ? '\n' : ''));
          const parts = body.toString().split('\n');
          const last = parts.pop()!;
          const expected = parts.flatMap((text, place) => {
            if (Buffer.byteLength(text) > 10) return [`${place + 1} too-long`];
            return text.trim() === '' ? [] : [`${place + 1} ${text}`];
          });
          if (last.trim() !== '') expected.push(`${parts.length + 1} unfinished`);
          const lines = await collect(linesOf(cutAt(body, cuts), 10));
          expect(lines.map(shown)).toEqual(expected);
        },
      ),
    );
  });

  it('that are too long are known by the digest of all their bytes', async () => {
    const long = 'x'.repeat(100);
    const [line] = await collect(linesOf(cutAt(Buffer.from(`${long}\n`), [3, 50, 99]), 10));
    expect(line).toEqual({ kind: 'too-long', number: 1, sha256: sha256(long) });
  });
});

describe('batches', () => {
  const limits = { itemsMax: 3, bytesMax: 100, lingerMs: 60_000, sizeOf: () => 1 };

  it('are full where there is enough, and hold all of it in order', async () => {
    const source = (async function* () {
      yield [1, 2];
      yield [3, 4, 5, 6, 7];
      yield [8];
    })();
    const batches: number[][] = [];
    for await (const batch of batchesOf(source, limits)) batches.push(batch);
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ]);
  });

  it('are cut by size, too', async () => {
    const source = (async function* () {
      yield [40, 70, 10, 200];
    })();
    const batches: number[][] = [];
    for await (const batch of batchesOf(source, { ...limits, sizeOf: (size: number) => size })) batches.push(batch);
    expect(batches).toEqual([
      [40, 70],
      [10, 200],
    ]);
  });

  it('do not wait for more than comes', async () => {
    const more = Promise.withResolvers<void>();
    const source = (async function* () {
      yield [1];
      await more.promise;
      yield [2];
    })();
    const batches = batchesOf(source, { ...limits, lingerMs: 1 });
    expect((await batches.next()).value).toEqual([1]);
    more.resolve();
    expect((await batches.next()).value).toEqual([2]);
    expect((await batches.next()).done).toBe(true);
  });

  it('give out what came before the source failed, then the failure', async () => {
    const source = (async function* () {
      yield [1];
      throw new Error('cut');
    })();
    const batches = batchesOf(source, limits);
    expect((await batches.next()).value).toEqual([1]);
    await expect(batches.next()).rejects.toThrow('cut');
  });

  it('read one chunk ahead of whoever takes them, and no more', async () => {
    let given = 0;
    const source = (async function* () {
      for (;;) yield [(given += 1), 0, 0];
    })();
    const batches = batchesOf(source, limits);
    await batches.next();
    await new Promise(setImmediate);
    expect(given).toBe(1);
    await batches.next();
    await new Promise(setImmediate);
    expect(given).toBe(2);
  });
});
