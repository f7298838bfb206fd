/**
 * What is derived from the record or stands beside it, tampered with by MongoDB's root: index, emitters, tiles, boxes,
 * checkpoints. Each drill is named by its kind and by the first bad index; what is derived is mended from the record.
 */
import { Binary, type Document } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { verifyLog } from '../../api/operations/verifyLog.ts';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { emptyStanding } from '../../domain/verification/segment.ts';
import { repairEmitters } from '../../trail/verification/repair-emitters.ts';
import { removeForgedRows, repairStretch } from '../../trail/verification/repair-record-projections.ts';
import { repairTiles } from '../../trail/verification/repair-tiles.ts';
import { walkRecord } from '../../trail/verification/record-walk.ts';
import { testSigner } from '../tree/testSigner.ts';
import { openTestLog, type TestLog } from '../verification/open.ts';
import { consistent, entriesOf, flipped, saidOtherwise } from './mongodbRoot.ts';

const size = 900;
const correlation = (index: number): string => (1 + Math.floor(index / 10)).toString(16).padStart(32, '0');

let test: TestLog;
type Store = 'record' | 'events' | 'tiles' | 'emitters';
const stores: readonly Store[] = ['record', 'events', 'tiles', 'emitters'];
let kept: Record<Store, Document[]>;
let checkpoints: Document[];
const ownCheckpoints = () => ({ _id: { $regex: `^${test.origin}#` } }) as never;

beforeAll(async () => {
  test = await openTestLog();
  await test.appendBatches([100, 200, 50, 200, 50, 200, 100], (index) => ({ correlationId: correlation(index) }));
  await test.tail.stop();
  const all = await Promise.all(stores.map(async (name) => [name, await test.as(name).find().toArray()] as const));
  kept = Object.fromEntries(all) as unknown as typeof kept;
  checkpoints = await test.anchors.find(ownCheckpoints()).toArray();
});
afterAll(() => test.close());
afterEach(async () => {
  for (const name of stores) {
    await test.as(name).deleteMany({});
    await test.as(name).insertMany(kept[name]);
  }
  await test.anchors.deleteMany(ownCheckpoints());
  await test.anchors.insertMany(checkpoints);
});

const row = (index: number): Document => kept.events.find(({ _id }) => (_id as unknown) === index)!;
const writeRow = (document: Document) =>
  test.as('events').replaceOne({ _id: document['_id'] as never }, document, { upsert: true });
const at = (id: unknown) => ({ _id: id as never });
const like = (found: readonly Partial<Difference>[]) => found.map((one) => expect.objectContaining(one) as Difference);

const repair = async () => {
  const mending = { log: test.log, projector: test.database.clients.projector, signal: new AbortController().signal };
  const { rows, tiles } = await repairStretch(mending, { standing: emptyStanding, size, entriesMax: Infinity });
  const forged = await removeForgedRows(mending, size);
  const above = await repairTiles(mending, { from: { level: 1, index: 0 }, size, tilesPerStep: Infinity });
  const emitters = await repairEmitters(mending, { after: undefined, emittersPerStep: Infinity });
  return { rows: rows + forged, tiles: tiles + above.mended, emitters: emitters.mended };
};

interface Drill {
  readonly name: string;
  readonly tamper: () => Promise<unknown>;
  readonly found: readonly Partial<Difference>[];
  readonly mended: { readonly rows?: number; readonly tiles?: number; readonly emitters?: number };
}

const drills: readonly Drill[] = [
  {
    name: 'a row of the index that says something else',
    tamper: () => writeRow({ ...row(480), outcome: 'success', principal: 'somebody-else' }),
    found: [{ kind: 'row-altered', store: 'index', index: 480, place: 'events/480' }],
    mended: { rows: 1 },
  },
  {
    name: 'a row whose entry was rewritten',
    tamper: () => {
      const entry = saidOtherwise(Buffer.from((row(480)['entry'] as Binary).buffer));
      return writeRow({ ...row(480), entry: new Binary(entry), outcome: 'failure' });
    },
    found: [{ kind: 'row-altered', store: 'index', index: 480 }],
    mended: { rows: 1 },
  },
  {
    name: 'rows that are missing',
    tamper: () => test.as('events').deleteMany({ _id: { $gte: 300, $lt: 310 } as never }),
    found: [{ kind: 'row-missing', store: 'index', index: 300, lastIndex: 309 }],
    mended: { rows: 10 },
  },
  {
    name: 'a forged row that stands where an entry will stand, and keeps its own row out',
    tamper: () => writeRow({ ...row(480), _id: size as never, id: '01a20d4d-2a0e-768b-88bb-780b8d80ebbd' }),
    found: [{ kind: 'row-forged', store: 'index', index: size }],
    mended: { rows: 1 },
  },
  {
    name: 'forged rows where no entry can stand',
    tamper: async () => {
      for (const [position, id] of [-1, 480.5, 'x'].entries())
        await writeRow({ ...row(480), _id: id as never, id: `01a20d4d-2a0e-768b-88bb-78000000000${position}` });
    },
    found: [
      { kind: 'row-forged', store: 'index', place: 'events/480.5' },
      { kind: 'row-forged', store: 'index', place: 'events/-1' },
      { kind: 'row-forged', store: 'index', place: 'events/x' },
    ],
    mended: { rows: 3 },
  },
  {
    name: 'a row doubled, in the place of another',
    tamper: async () => {
      await test.as('events').deleteOne(at(480));
      await test.as('events').deleteOne(at(700));
      await writeRow({ ...row(480), _id: 700 as never });
    },
    found: [
      { kind: 'row-missing', store: 'index', index: 480 },
      { kind: 'row-altered', store: 'index', index: 700 },
    ],
    mended: { rows: 2 },
  },
  {
    name: 'the state of an emitter that hides a gap',
    tamper: () => test.as('emitters').updateOne(at('test'), { $set: { high: size + 5 } }),
    found: [{ kind: 'emitter-altered', store: 'emitters', place: 'emitters/test' }],
    mended: { emitters: 1 },
  },
  {
    name: 'an emitter without state, and a state without emitter',
    tamper: async () => {
      await test.as('emitters').insertOne({ ...kept.emitters[0], _id: 'zz-ghost' as never });
      await test.as('emitters').deleteOne(at('test'));
    },
    found: [
      { kind: 'emitter-missing', store: 'emitters', place: 'emitters/test' },
      { kind: 'emitter-forged', store: 'emitters', place: 'emitters/zz-ghost' },
    ],
    mended: { emitters: 2 },
  },
  {
    name: 'a hash in a tile',
    tamper: () => {
      const { hashes, root } = kept.tiles.find(({ _id }) => (_id as unknown) === '0/1')!;
      return test.as('tiles').replaceOne(at('0/1'), { hashes: flipped(hashes as Binary, 44 * 32), root });
    },
    found: [{ kind: 'tile-altered', store: 'tiles', index: 300, place: 'tiles/0/1' }],
    mended: { tiles: 1 },
  },
  {
    name: 'the root of a tile, which is a hash of the one above',
    tamper: () => {
      const { hashes, root } = kept.tiles.find(({ _id }) => (_id as unknown) === '0/1')!;
      return test.as('tiles').replaceOne(at('0/1'), { hashes, root: flipped(root as Binary, 0) });
    },
    found: [{ kind: 'tile-altered', store: 'tiles', index: 256, lastIndex: 511, place: 'tiles/0/1' }],
    mended: { tiles: 1 },
  },
  {
    name: 'a tile missing, one cut short, and one of entries that there are not',
    tamper: async () => {
      const { hashes, root } = kept.tiles.find(({ _id }) => (_id as unknown) === '0/2')!;
      await test.as('tiles').deleteOne(at('0/1'));
      await test
        .as('tiles')
        .replaceOne(at('0/2'), { hashes: new Binary((hashes as Binary).buffer.slice(0, 64)), root });
      await test.as('tiles').insertOne({ _id: '0/3' as never, hashes, root });
    },
    found: [
      { kind: 'tile-missing', store: 'tiles', index: 256, lastIndex: 511 },
      { kind: 'tile-malformed', store: 'tiles', index: 512, lastIndex: 767 },
      { kind: 'tile-surplus', store: 'tiles', place: 'tiles/0/3' },
    ],
    mended: { tiles: 3 },
  },
];

describe.each(drills)('$name', ({ tamper, found, mended }) => {
  it('is found, with kind and first bad index, and mended from the record', async () => {
    await tamper();
    expect(await test.check()).toEqual(like(found));
    expect(await repair()).toEqual({ rows: 0, tiles: 0, emitters: 0, ...mended });
    expect(await test.check()).toEqual([]);
    for (const name of ['events', 'tiles', 'emitters'] as const)
      expect(await test.as(name).find().sort({ _id: 1 }).toArray()).toEqual(await sortedAsStored(name));
  });
});

/** What was kept, in MongoDB's order. */
const sortedAsStored = async (name: Store): Promise<Document[]> => {
  const ids = (
    await test
      .as(name)
      .find({}, { projection: { _id: 1 } })
      .sort({ _id: 1 })
      .toArray()
  ).map(({ _id }) => _id);
  return ids.map((id) => kept[name].find(({ _id }) => (_id as unknown) === (id as unknown))!);
};

describe('an event that a forged row hides from its timeline', () => {
  it('is missing from the timeline until it is found and mended', async () => {
    const timeline = async () =>
      (await test.trail.reader.byCorrelation(correlation(480) as never, 100)).map(({ index }) => index);
    const whole = Array.from({ length: 10 }, (_, i) => 480 + i);
    expect(await timeline()).toEqual(whole);
    await writeRow({ ...row(484), corr: 'e'.repeat(32) });
    expect(await timeline()).toEqual(whole.filter((index) => index !== 484));
    expect(await test.check()).toEqual(like([{ kind: 'row-altered', store: 'index', index: 484 }]));
    await repair();
    expect(await timeline()).toEqual(whole);
  });
});

describe('a repair', () => {
  it('leaves the copies as they are where the record itself was tampered with: they are the evidence', async () => {
    const segment = kept.record.find(({ _id }) => (_id as unknown) === 350)!;
    const before = kept.record.find(({ _id }) => (_id as unknown) === 300)!;
    const entries = entriesOf(segment);
    const forged = consistent(segment, before, entries.with(130, saidOtherwise(entries[130]!)));
    await test.as('record').replaceOne(at(350), forged);
    expect(await repair()).toEqual({ rows: 0, tiles: 0, emitters: 0 });
    expect(await test.check()).toEqual(like([{ kind: 'entry-altered', store: 'record', index: 480 }]));
    expect(await test.as('events').findOne(at(480))).toEqual(row(480));
  });
});

describe('in the payload', () => {
  const first = 350;
  const boxesOf = (segment: number): Document[] => {
    const listed = kept.record.find(({ _id }) => (_id as unknown) === segment)!['boxes'] as { id: Binary }[];
    return listed.map(({ id }) =>
      kept.record.find(({ _id }) => (_id as unknown) instanceof Binary && idOf(_id).equals(id.buffer))!,
    );
  };
  const idOf = (id: unknown): Buffer => Buffer.from((id as Binary).buffer);
  const writeBoxes = (document: Document) => test.as('record').replaceOne({ _id: document['_id'] }, document);

  it('a changed byte of a box is found by its digest, by whoever may decrypt and by whoever may not', async () => {
    const [box] = boxesOf(first);
    await writeBoxes({ ...box!, boxes: flipped(box!['boxes'] as Binary, 5) });
    const found = like([{ kind: 'box-altered', store: 'boxes', index: first }]);
    expect(await test.check()).toEqual(found);
    const { parts: _parts, ...blind } = test.log;
    const walked = await walkRecord(blind, { standing: emptyStanding, to: size, entriesMax: Infinity });
    expect(walked.differences).toEqual(found);
  });

  it('a box that is gone is found', async () => {
    const [box] = boxesOf(first);
    await test.as('record').deleteOne({ _id: box!['_id'] });
    expect(await test.check()).toEqual(like([{ kind: 'box-missing', store: 'boxes', index: first }]));
  });

  it("another segment's box in its place is found by whoever may decrypt", async () => {
    const segment = kept.record.find(({ _id }) => (_id as unknown) === first)!;
    const listed = (segment['boxes'] as Document[])[0]!;
    await writeBoxes({ ...segment, boxes: [{ ...listed, id: boxesOf(550)[0]!['_id'] }] });
    const differences = await test.check();
    expect(differences[0]).toMatchObject({ kind: 'content-altered', store: 'boxes', index: first });
    expect(differences).toHaveLength(200);
  });
});

describe('the whole log', () => {
  /** Every segment from 350 on with one entry said otherwise, and everything made to fit. */
  const replaced = (): Document[] => {
    const documents: Document[] = [];
    let before: Document | undefined;
    for (const segment of kept.record
      .filter(({ _id }) => typeof _id === 'number')
      .toSorted((a, b) => Number(a._id) - Number(b._id))) {
      const entries = entriesOf(segment);
      const changed = (segment._id as unknown) === 350 ? entries.with(130, saidOtherwise(entries[130]!)) : entries;
      const made = consistent(segment, before, changed);
      documents.push(made);
      before = made;
    }
    return documents;
  };
  const served = async () => {
    const report = await verifyLog(test.trail, { entriesMax: 100_000, signal: new AbortController().signal });
    return report.outcome === 'verified' ? undefined : report.problem;
  };

  it('replaced by one that hangs together by itself does not give the roots that were signed', async () => {
    for (const document of replaced()) await test.as('record').replaceOne(at(document['_id']), document);
    expect((await test.check())[0]).toMatchObject({ kind: 'entry-altered', store: 'record', index: 480 });
    expect(await served()).toMatchObject({ kind: 'entry-altered', index: 480 });
  });

  it('replaced together with its checkpoints is not signed by its key', async () => {
    const documents = replaced();
    for (const document of documents) await test.as('record').replaceOne(at(document['_id']), document);
    const signer = testSigner(test.origin, Buffer.alloc(32, 7));
    for (const document of documents) {
      const end = Number(document['_id']) + Number(document['n']);
      const root = Buffer.from((document['root'] as Binary).buffer);
      const note = signCheckpoint({ origin: test.origin, size: end, root }, [signer]).toString();
      await test.anchors.updateOne(
        { _id: `${test.origin}#${String(end).padStart(16, '0')}` as never },
        { $set: { note } },
      );
    }
    const differences = await test.check();
    expect(differences.filter(({ kind }) => kind === 'bad-signature').map(({ index }) => index)).toEqual([
      99, 299, 349, 549, 599, 799, 899,
    ]);
    expect(await served()).toMatchObject({ kind: 'bad-signature', checkpoint: 'current' });
  });

  it('with a checkpoint that names another segment as its last is found: a writer would look there', async () => {
    const _id = `${test.origin}#${String(size).padStart(16, '0')}` as never;
    await test.anchors.updateOne({ _id }, { $set: { segment: 600 } });
    expect(await test.check()).toEqual(like([{ kind: 'malformed-checkpoint', store: 'anchors', index: size - 1 }]));
  });
});
