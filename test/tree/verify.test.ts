import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeBundle } from '../../domain/tree/bundle.ts';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { leafHashes } from '../../domain/tree/hash.ts';
import { describeProblem, type Problem, type VerificationReport } from '../../domain/verify/report.ts';
import type { BlockStore } from '../../domain/verify/spilledIds.ts';
import { verifyLog, type EntryChunk, type LogSources, type VerifyOptions } from '../../domain/verify/verifyLog.ts';
import { changeFile, folderSources, writeLogFolder } from './logFolder.ts';
import { referenceRoot } from './reference.ts';
import { bytesOf, eventIdOf, instance, sampleEntries, sampleEntry } from './sampleEntries.ts';
import { tamperedSize, tamperings } from './tampering.ts';
import { testSigner } from './testSigner.ts';

const origin = 'log.example/4f1c';
const signer = testSigner(origin, Buffer.alloc(32, 1));
const options: VerifyOptions = { keys: [signer], origin };
const quick: VerifyOptions = { ...options, schema: false, duplicateIds: false };

/** A log at hand as segments hold it: chunks of any length, leaf hashes beside them where asked for, no tiles. */
function memorySources(entries: readonly Buffer[], chunkSize: number, withHashes = false): LogSources {
  async function* chunks(): AsyncGenerator<EntryChunk> {
    for (let firstIndex = 0; firstIndex < entries.length; firstIndex += chunkSize) {
      const part = entries.slice(firstIndex, firstIndex + chunkSize);
      const leaves = withHashes ? { leafHashes: leafHashes(part) } : {};
      yield { firstIndex, count: part.length, bundle: encodeBundle(part), ...leaves };
    }
  }
  const root = referenceRoot(entries);
  return { checkpoint: signCheckpoint({ origin, size: entries.length, root }, [signer]), entries: chunks };
}

/** As a file of blocks is. */
const blocksInMemory = (): BlockStore & { readonly blocks: Uint8Array[] } => {
  const blocks: Uint8Array[] = [];
  return { blocks, seed: 7, write: (block) => blocks.push(block.slice()) - 1, read: (position) => blocks[position]! };
};

const problemOf = (report: VerificationReport) => (report.outcome === 'refuted' ? report.problem : undefined);

/** How a description of this problem must begin. */
function placeOf(found: Partial<Problem>): RegExp {
  if (!('index' in found)) return /^checkpoint: /;
  return new RegExp(`^index ${found.index}${found.lastIndex === undefined ? '' : ` to ${found.lastIndex}`}: `);
}

/** The checkpoint of one log over the chunks of another. */
const mixed = (checkpointOf: LogSources, entriesOf: LogSources): LogSources => ({
  ...checkpointOf,
  entries: entriesOf.entries,
});

describe('a log in a folder', () => {
  const inThreadsToo = new Set(tamperings.map(({ found }) => found.kind));

  let parent = '';
  let intact = '';
  beforeAll(() => {
    parent = mkdtempSync(join(tmpdir(), 'trailkeeper-verify-'));
    intact = join(parent, 'intact');
    writeLogFolder(intact, sampleEntries(tamperedSize), signer);
  });
  afterAll(() => rmSync(parent, { recursive: true }));

  it('verifies when it is intact', async () => {
    const report = await verifyLog(folderSources(intact), { ...options, instance });
    expect(report).toMatchObject({
      outcome: 'verified',
      origin,
      size: 3000,
      tilesChecked: true,
      schemaChecked: true,
      warnings: [],
    });
  });

  it.each(tamperings)('with $name is refuted, and the fault named', async ({ tamper, found }) => {
    const folder = mkdtempSync(join(parent, 'tampered-'));
    cpSync(intact, folder, { recursive: true });
    tamper(folder, signer);
    const report = await verifyLog(folderSources(folder), options);
    expect(problemOf(report)).toMatchObject(found);
    const problem = problemOf(report)!;
    expect(describeProblem(problem)).toMatch(placeOf(found));
    // A store for ids is another means to the same end, and so are threads, which take long to start.
    const threads = () => (inThreadsToo.has(found.kind) ? 1 : 0);
    inThreadsToo.delete(found.kind);
    const other = await verifyLog(folderSources(folder), { ...options, threads, idStore: blocksInMemory() });
    expect({ ...other, warnings: [] }).toEqual({ ...report, warnings: [] });
    rmSync(folder, { recursive: true });
  });

  it('may serve the full tile where a partial one is gone', async () => {
    const entries = sampleEntries(600);
    const folder = mkdtempSync(join(parent, 'grown-'));
    const older = writeLogFolder(folder, entries.slice(0, 300), signer);
    for (const path of ['tile/0/001.p/44', 'tile/1/000.p/1']) rmSync(join(folder, path));
    writeLogFolder(folder, entries, signer);
    const sources = folderSources(folder);
    expect(await verifyLog(sources, options)).toMatchObject({ outcome: 'verified', size: 600 });
    const early: LogSources = { ...sources, checkpoint: older };
    expect(problemOf(await verifyLog(early, options))).toMatchObject({ kind: 'tile-missing', path: 'tile/1/000.p/1' });
  });

  it.each([0, 1, 255, 256, 257, 512, 513, 773])(
    'verifies at size %i, and not with any one entry altered',
    async (size) => {
      const entries = sampleEntries(size);
      const folder = mkdtempSync(join(parent, 'size-'));
      writeLogFolder(folder, entries, signer);
      expect(await verifyLog(folderSources(folder), options)).toMatchObject({ outcome: 'verified', size });
      for (const index of new Set([0, Math.floor(size / 2), size - 1])) {
        if (size === 0) continue;
        const sources = memorySources(entries.with(index, bytesOf(sampleEntry(index, { purpose: 'other' }))), 256);
        const report = await verifyLog({ ...folderSources(folder), entries: sources.entries }, options);
        expect(problemOf(report)).toEqual({ kind: 'entry-altered', index });
      }
    },
  );

  it('is refuted by every single bit of a tile of leaves', async () => {
    const folder = mkdtempSync(join(parent, 'bits-'));
    writeLogFolder(folder, sampleEntries(773), signer);
    const sources = folderSources(folder);
    for (let at = 0; at < 256 * 32; at += 97) {
      const tiles: LogSources['tiles'] = async (tile) => {
        const bytes = await sources.tiles(tile);
        if (tile.level === 0 && tile.index === 1) bytes![at]! ^= 1 << (at % 8);
        return bytes;
      };
      const report = await verifyLog({ ...sources, tiles }, quick);
      expect(problemOf(report)).toEqual({ kind: 'tile-altered', index: 256 + Math.floor(at / 32), path: 'tile/0/001' });
    }
  });

  it('of more than 65,536 entries is checked up to the third row of tiles', async () => {
    const folder = mkdtempSync(join(parent, 'large-'));
    writeLogFolder(folder, sampleEntries(66_000), signer);
    expect(await verifyLog(folderSources(folder), quick)).toMatchObject({ outcome: 'verified', size: 66_000 });
    changeFile(folder, 'tile/1/000', (tile) => {
      tile[200 * 32]! ^= 4;
      return tile;
    });
    expect(problemOf(await verifyLog(folderSources(folder), quick))).toEqual({
      kind: 'tile-altered',
      index: 200 * 256,
      lastIndex: 201 * 256 - 1,
      path: 'tile/1/000',
    });
  });
});

describe('a log without tiles', () => {
  const entries = sampleEntries(1000);
  const changed = entries.with(700, bytesOf(sampleEntry(700, { purpose: 'other' })));

  it.each([1, 7, 256, 300, 1000])('verifies in chunks of %i', async (chunkSize) => {
    const report = await verifyLog(memorySources(entries, chunkSize), options);
    expect(report).toMatchObject({ outcome: 'verified', size: 1000, tilesChecked: false });
  });

  it('with an altered entry is refuted by its root, and says that it can not tell where', async () => {
    const report = await verifyLog(mixed(memorySources(entries, 300), memorySources(changed, 300)), options);
    expect(problemOf(report)).toEqual({
      kind: 'root-mismatch',
      index: 0,
      lastIndex: 999,
      reason: 'the entries do not give the root, and nothing at hand says which of them is at fault',
    });
  });

  const withHashesOf = (hashesOf: readonly Buffer[], bytes: readonly Buffer[]): LogSources['entries'] =>
    async function* () {
      yield {
        firstIndex: 0,
        count: 600,
        bundle: encodeBundle(bytes.slice(0, 600)),
        leafHashes: leafHashes(hashesOf.slice(0, 600)),
      };
      yield {
        firstIndex: 600,
        count: 400,
        bundle: encodeBundle(bytes.slice(600)),
        leafHashes: leafHashes(hashesOf.slice(600)),
      };
    };

  it('but with leaf hashes beside the entries names the altered entry', async () => {
    const sources = { ...memorySources(entries, 300), entries: withHashesOf(entries, changed) };
    expect(problemOf(await verifyLog(sources, options))).toEqual({ kind: 'entry-altered', index: 700 });
  });

  it('names an altered leaf hash where the entries are right', async () => {
    const sources = { ...memorySources(entries, 300), entries: withHashesOf(changed, entries) };
    expect(problemOf(await verifyLog(sources, options))).toEqual({ kind: 'leaf-hash-altered', index: 700 });
  });

  it('can not tell which of two is right when neither gives the root', async () => {
    const other = entries.with(5, bytesOf(sampleEntry(5, { purpose: 'other' })));
    const sources = { ...memorySources(entries, 300), entries: withHashesOf(other, changed) };
    expect(problemOf(await verifyLog(sources, options))).toMatchObject({ kind: 'root-mismatch', index: 5 });
  });

  it.each([
    ['an empty source', [], { kind: 'missing-entries', index: 0, lastIndex: 999 }],
    ['a source that ends early', [[0, 400]], { kind: 'missing-entries', index: 400, lastIndex: 999 }],
    [
      'a chunk left out',
      [
        [0, 400],
        [500, 500],
      ],
      { kind: 'missing-entries', index: 400, lastIndex: 499 },
    ],
    [
      'a chunk given twice',
      [
        [0, 400],
        [0, 400],
      ],
      { kind: 'wrong-order', index: 400, belongsAt: 0 },
    ],
    [
      'a chunk too many',
      [
        [0, 1000],
        [1000, 1],
      ],
      { kind: 'surplus-entries', index: 1000 },
    ],
  ] as const)('is refuted for %s', async (_, ranges, found) => {
    const more = [...entries, bytesOf(sampleEntry(1000))];
    const sources: LogSources = {
      ...memorySources(entries, 1000),
      async *entries() {
        for (const [firstIndex, count] of ranges) {
          yield { firstIndex, count, bundle: encodeBundle(more.slice(firstIndex, firstIndex + count)) };
        }
      },
    };
    expect(problemOf(await verifyLog(sources, options))).toMatchObject(found);
  });
});

describe('entries', () => {
  const log = (changes: Record<number, unknown>, count = 30) =>
    memorySources(
      sampleEntries(count).map((entry, i) =>
        i in changes ? (changes[i] instanceof Buffer ? changes[i] : bytesOf(changes[i])) : entry,
      ),
      10,
    );

  it.each([
    ['no JSON', Buffer.from('{"v":1'), 'it is not JSON'],
    ['no object', Buffer.from('null'), 'it is not a JSON object'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'it is not UTF-8'],
    ['of an unknown version', sampleEntry(12, { v: 2 }), 'its format version is not 1'],
    ['without an id', sampleEntry(12, { id: undefined }), 'its id is not a UUIDv7'],
    ['without an instance', sampleEntry(12, { instance: undefined }), 'it names no instance'],
    ['without an emitter', sampleEntry(12, { emitter: null }), 'it names no emitter'],
  ])('that are %s are named', async (_, entry, reason) => {
    const found = { kind: 'unparseable-entry', index: 12, reason };
    expect(problemOf(await verifyLog(log({ 12: entry }), options))).toEqual(found);
    expect(problemOf(await verifyLog(log({ 12: entry }), quick))).toEqual(found);
  });

  it('that break the schema are named, without their content, if the schema is asked for', async () => {
    const sources = () => log({ 12: sampleEntry(12, { phase: 'secret-value' }) });
    const problem = problemOf(await verifyLog(sources(), options));
    expect(problem).toEqual({
      kind: 'unparseable-entry',
      index: 12,
      reason: 'it breaks the schema at "phase" (invalid_value)',
    });
    expect(await verifyLog(sources(), quick)).toMatchObject({ outcome: 'verified', schemaChecked: false });
  });

  it('of another instance are named', async () => {
    const found = { kind: 'foreign-entry', index: 12, expected: 'acme' };
    expect(problemOf(await verifyLog(log({ 12: sampleEntry(12, { instance: 'globex' }) }), options))).toEqual(found);
    expect(problemOf(await verifyLog(log({}), { ...options, instance: 'globex' }))).toMatchObject({
      kind: 'foreign-entry',
      index: 0,
      expected: 'globex',
    });
  });

  it('with an event id that was used before are named, with the place of the first', async () => {
    const again = sampleEntry(1500, { id: eventIdOf(7) });
    expect(problemOf(await verifyLog(log({ 1500: again }, 2000), options))).toEqual({
      kind: 'duplicate-id',
      index: 1500,
      id: eventIdOf(7),
      firstSeenAt: 7,
    });
    expect(await verifyLog(log({ 1500: again }, 2000), quick)).toMatchObject({ outcome: 'verified' });
  });

  it('that leave gaps in an emitter are warned of, unless a late one fills them', async () => {
    const at = (i: number, sequence: number) => sampleEntry(i, { emitter: { id: 'e', sequence } });
    const sequences = [1, 2, 6, 4, 9, 9];
    const entries = sequences.map((sequence, i) => bytesOf(at(i, sequence)));
    expect(await verifyLog(memorySources(entries, 3), options)).toMatchObject({
      outcome: 'verified',
      warnings: [
        { kind: 'sequence-gap', emitter: 'e', from: 3, to: 3 },
        { kind: 'sequence-gap', emitter: 'e', from: 5, to: 5 },
        { kind: 'sequence-gap', emitter: 'e', from: 7, to: 8 },
        { kind: 'sequence-repeated', emitter: 'e', sequence: 9, index: 5 },
      ],
    });
    const filled = [3, 2, 1].map((sequence, i) => bytesOf(at(i, sequence)));
    expect(await verifyLog(memorySources(filled, 3), options)).toMatchObject({ outcome: 'verified', warnings: [] });
  });
});

describe('older checkpoints', () => {
  const entries = sampleEntries(1000);
  const noteAt = (size: number, of = entries) =>
    signCheckpoint({ origin, size, root: referenceRoot(of.slice(0, size)) }, [signer]);
  const verifyWith = async (...olderCheckpoints: Buffer[]) =>
    verifyLog({ ...memorySources(entries, 300), olderCheckpoints }, options);

  it('of every size that the log passed through are confirmed', async () => {
    expect(
      await verifyWith(...[1000, 999, 513, 512, 511, 256, 1, 0, 300, 300].map((size) => noteAt(size))),
    ).toMatchObject({
      outcome: 'verified',
    });
  });

  it('that are larger show that the log was rolled back', async () => {
    const found = { kind: 'inconsistent-with-older', how: 'rollback', size: 1000, olderSize: 1001 };
    expect(problemOf(await verifyWith(noteAt(1001, sampleEntries(1001))))).toEqual(found);
  });

  it.each([1, 300, 512, 1000])('of size %i with other entries show a fork', async (size) => {
    const others = entries.with(0, bytesOf(sampleEntry(0, { purpose: 'other' })));
    const found = { kind: 'inconsistent-with-older', how: 'fork', size: 1000, olderSize: size };
    expect(problemOf(await verifyWith(noteAt(256), noteAt(size, others)))).toEqual(found);
  });

  it('do not make a fork of a log whose entries were altered', async () => {
    const changed = entries.with(5, bytesOf(sampleEntry(5, { purpose: 'other' })));
    const sources = mixed(memorySources(entries, 300), memorySources(changed, 300));
    const report = await verifyLog({ ...sources, olderCheckpoints: [noteAt(500)] }, options);
    expect(problemOf(report)).toMatchObject({ kind: 'root-mismatch' });
  });

  it('must be signed themselves', async () => {
    const forged = signCheckpoint({ origin, size: 5, root: Buffer.alloc(32) }, [
      testSigner(origin, Buffer.alloc(32, 3)),
    ]);
    expect(problemOf(await verifyWith(forged))).toMatchObject({ kind: 'bad-signature', checkpoint: 'older' });
    expect(problemOf(await verifyWith(Buffer.from('no note')))).toMatchObject({
      kind: 'malformed-checkpoint',
      checkpoint: 'older',
    });
  });
});

describe('the report', () => {
  it("gives no head for a checkpoint that is not the log's own", async () => {
    const report = await verifyLog(memorySources(sampleEntries(3), 3), { ...options, origin: 'log.example/other' });
    expect(report).toMatchObject({ outcome: 'refuted', problem: { kind: 'wrong-origin' }, entriesChecked: 0 });
    expect(report).not.toHaveProperty('size');
  });

  it('counts the entries that hold before the first bad one', async () => {
    const entries = sampleEntries(30).with(12, Buffer.from('{}'));
    expect(await verifyLog(memorySources(entries, 10), options)).toMatchObject({ entriesChecked: 12 });
  });

  it('is not made of a source that fails: the failure comes through', async () => {
    const sources: LogSources = {
      ...memorySources(sampleEntries(3), 3),
      entries: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => Promise.reject(new Error('disk')) }) }),
    };
    await expect(verifyLog(sources, options)).rejects.toThrow('disk');
  });

  it('is read from bytes on disk that are the ones that were written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'trailkeeper-verify-'));
    const checkpoint = writeLogFolder(folder, sampleEntries(3), signer);
    expect(readFileSync(join(folder, 'checkpoint')).equals(checkpoint)).toBe(true);
    rmSync(folder, { recursive: true });
  });
});

describe('a log that is looked at in threads', () => {
  const inThreads: VerifyOptions = { ...options, threads: () => 2 };

  it('verifies as it does in one, whatever the chunks', async () => {
    const entries = sampleEntries(5000);
    for (const chunkSize of [1, 256, 2048]) {
      const sources = memorySources(entries, chunkSize, true);
      const report = await verifyLog(sources, inThreads);
      expect(report).toMatchObject({ outcome: 'verified', size: 5000 });
      expect(report).toEqual(await verifyLog(sources, options));
    }
  });

  it('is refuted at the first bad entry, although others were looked at before', async () => {
    const bad = (index: number) => bytesOf({ ...sampleEntry(index), purpose: 1 as never });
    const entries = sampleEntries(5000).with(1500, bad(1500)).with(4000, bad(4000)).with(4999, bad(4999));
    const report = await verifyLog(memorySources(entries, 256), inThreads);
    expect(problemOf(report)).toMatchObject({ kind: 'unparseable-entry', index: 1500 });
    expect(report).toMatchObject({ entriesChecked: 1500 });
    const foreign = entries.with(
      1500,
      bytesOf({ ...sampleEntry(1500), instance: 'other' as never, purpose: 1 as never }),
    );
    expect(problemOf(await verifyLog(memorySources(foreign, 256), inThreads))).toMatchObject({
      kind: 'foreign-entry',
      index: 1500,
    });
  });

  it('is refuted by what was read before the source failed; else the failure comes out', async () => {
    const failing = (entries: readonly Buffer[]): LogSources => {
      const sources = memorySources(entries, 256);
      return {
        ...sources,
        entries: async function* (checkpoint) {
          let given = 0;
          for await (const chunk of sources.entries(checkpoint)) {
            if ((given += 1) > 6) throw new Error('the source is away');
            yield chunk;
          }
        },
      };
    };
    const entries = sampleEntries(5000);
    await expect(verifyLog(failing(entries), inThreads)).rejects.toThrow('the source is away');
    const broken = entries.with(1200, Buffer.from('{}'));
    expect(problemOf(await verifyLog(failing(broken), inThreads))).toMatchObject({
      kind: 'unparseable-entry',
      index: 1200,
    });
  });
});

describe('a log whose ids are kept in a store', () => {
  const repeated = (first: number, again: number) =>
    sampleEntries(5000).with(again, bytesOf({ ...sampleEntry(again), id: eventIdOf(first) }));

  it('is refuted by the first repeated id, and by that before whatever comes after it', async () => {
    const entries = repeated(3, 1700).with(4000, bytesOf({ ...sampleEntry(4000), id: eventIdOf(5) }));
    const found = { kind: 'duplicate-id', index: 1700, firstSeenAt: 3, id: eventIdOf(3) };
    for (const log of [entries, entries.with(1900, Buffer.from('{}'))]) {
      const report = await verifyLog(memorySources(log, 256), { ...options, idStore: blocksInMemory() });
      expect(problemOf(report)).toEqual(found);
      expect(report).toMatchObject({ outcome: 'refuted', entriesChecked: 1700 });
    }
    const before = entries.with(1600, Buffer.from('{}'));
    const report = await verifyLog(memorySources(before, 256), { ...options, idStore: blocksInMemory() });
    expect(problemOf(report)).toMatchObject({ kind: 'unparseable-entry', index: 1600 });
  });
});
