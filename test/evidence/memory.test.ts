/** A pack of five times the size takes no more memory, neither to make nor to check. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeVkey } from '../../domain/tree/note.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';
import type { ExportMeasure, ExportOrder } from './exportProcess.ts';

let log: TestTrail;
let folder: string;
let order: Omit<ExportOrder, 'from' | 'to' | 'file'>;
const small = 3_000;
const large = 15_000;
/** What V8 may keep. */
const heapMiB = 256;

beforeAll(async () => {
  log = await openTestTrail();
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-memory-'));
  const { writer, origin, evidenceSigner } = log.trail;
  const next = emitterOf('memory');
  const text = 'the quick brown fox jumps over the lazy dog '.repeat(8);
  const vkey = encodeVkey(await evidenceSigner());
  const asked = next({ action: 'evidence.export', phase: 'intent', actor: { principal: 'akira', kind: 'human' } });
  const own = await writer.append(
    [next({ action: 'evidence.key', system: 'trailkeeper', control: { change: 'evidence.key', vkey } }), asked],
    'platform',
  );
  const [announcedAt, askedAt] = own.map((result) => (result.status === 'refused' ? -1 : result.receipt.index));
  log.tails();
  for (let done = 0; done < large; done += 1000)
    await writer.append(
      Array.from({ length: 1000 }, (_, at) => next({ parts: [{ name: 'after', content: `${text}${done + at}` }] })),
      'platform',
    );
  await log.trail.reader.fresh(120_000);
  order = {
    uris: {
      appender: log.database.uriOf('appender'),
      anchor: log.database.uriOf('anchor'),
      reader: log.database.uriOf('reader'),
    },
    keysFolder: log.keysFolder,
    instance: log.instance,
    origin,
    id: asked.id,
    announcedAt: announcedAt!,
    askedAt: askedAt!,
  };
});
afterAll(async () => {
  await log.close();
  await rm(folder, { recursive: true, force: true });
});

const run = promisify(execFile);
const node = (program: string, ...argv: readonly string[]) =>
  run(process.execPath, ['--expose-gc', `--max-old-space-size=${heapMiB}`, program, ...argv], { maxBuffer: 1 << 24 });

const made = async (entries: number): Promise<ExportMeasure & { readonly file: string }> => {
  const file = join(folder, `${entries}.tar.gz`);
  const { stdout } = await node(
    join(import.meta.dirname, 'exportProcess.ts'),
    JSON.stringify({ ...order, from: 2, to: entries + 1, file } satisfies ExportOrder),
  );
  return { ...(JSON.parse(stdout) as ExportMeasure), file };
};

const verifierLiveMax = async (file: string): Promise<number> => {
  const probe = `
    import { main } from ${JSON.stringify(join(import.meta.dirname, '../../domain/evidence/verifier.mjs'))};
    let liveBytesMax = 0;
    const timer = setInterval(() => {
      gc();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      liveBytesMax = Math.max(liveBytesMax, heapUsed + arrayBuffers);
    }, 20);
    const exit = await main([${JSON.stringify(file)}, '--key', ${JSON.stringify(log.trail.vkey)}], () => undefined);
    clearInterval(timer);
    console.log(JSON.stringify({ exit, liveBytesMax }));`;
  const { stdout } = await node('--input-type=module', '-e', probe);
  const { exit, liveBytesMax } = JSON.parse(stdout) as { exit: number; liveBytesMax: number };
  expect(exit).toBe(0);
  return liveBytesMax;
};

describe('memory', () => {
  it(`does not grow from ${small} to ${large} entries, where a pack is made and where it is checked`, async () => {
    const [less, more] = [await made(small), await made(large)];
    expect([less.entries, more.entries]).toEqual([small, large]);
    const [checkingLess, checkingMore] = [await verifierLiveMax(less.file), await verifierLiveMax(more.file)];
    if (process.env['TRAILKEEPER_TEST_LOG']) console.error({ less, more, checkingLess, checkingMore });
    expect(more.liveBytesMax / less.liveBytesMax).toBeLessThan(1.25);
    expect(checkingMore / checkingLess).toBeLessThan(1.25);
  });
});
