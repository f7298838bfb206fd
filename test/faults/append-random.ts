/**
 * Random faults under three writers of one log, from a seed: cut connections, refused and half-acknowledged writes,
 * failing reads, an index that is set back or dropped. What callers send are new events, repetitions, ids with other
 * content and taken sequence numbers. `TRAILKEEPER_SEED` gives another seed.
 */
import { MongoError, type Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { entrySchema, type Entry, type EventInput } from '../../schema/event.ts';
import type { AppendResult, Receipt } from '../../trail/append-item.ts';
import { TrailError } from '../../trail/errors.ts';
import { emptyHead, walkToEnd } from '../../trail/log-end.ts';
import { emittersOf, indexOf, indexTail, tailsOf } from '../../trail/projection.ts';
import { segmentsOf } from '../../trail/segments.ts';
import type { TailRunner } from '../../trail/tails/runner.ts';
import type { Trail } from '../../trail/trail.ts';
import { randomFrom, type Random } from '../diagnosis/random.ts';
import { emitterOf, event } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';
import { isConsistent } from './append-consistency.ts';

const rounds = 40;
const emitterCount = 5;

const collections = ['record', 'events', 'tails', 'emitters', 'anchors', 'keys'] as const;
const kinds: readonly Document[] = [
  { closeConnection: true },
  { errorCode: 11_602 },
  { errorCode: 112 },
  { errorCode: 50 },
  { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
];

const randomFault = (random: Random, instance: string): Document => {
  const collection = random.pick(collections);
  const database = collection === 'anchors' || collection === 'keys' ? 'tk_control' : `tk_${instance}`;
  return {
    configureFailPoint: 'failCommand',
    mode: { times: 1 + random.below(4) },
    data: {
      failCommands: random.pick([['insert'], ['find'], ['update', 'findAndModify'], ['insert', 'find', 'update']]),
      namespace: `${database}.${collection}`,
      ...random.pick(kinds),
    },
  };
};

export const describeRandomFaults = (): void => {
  describe('random faults under three writers', () => {
    const seed = Number(process.env['TRAILKEEPER_SEED'] ?? 20_261_124);
    let test: TestTrail;
    let writers: Trail[];
    let runner: TailRunner;
    beforeAll(async () => {
      test = await openTestTrail();
      runner = test.tails({ quiet: true });
      writers = await Promise.all([test.another(), test.another(), test.another()]);
    });
    afterAll(() => test.close());

    it(`leave each acknowledged event in the log once, and the log whole (seed ${seed})`, async () => {
      const random = randomFrom(seed);
      const { admin } = test.database;
      const emitters = Array.from({ length: emitterCount }, (_, number) => emitterOf(`random-${number}`));
      const sent = new Map<string, EventInput>();
      const receipts: Receipt[] = [];
      const acknowledged = new Map<string, Receipt>();

      const acknowledge = (receipt: Receipt) => {
        receipts.push(receipt);
        expect(receipt.index).toBe((acknowledged.get(receipt.id) ?? receipt).index);
        acknowledged.set(receipt.id, receipt);
      };
      const fresh = (): EventInput => {
        const made = random.pick(emitters)();
        sent.set(made.id, made);
        return made;
      };
      /** Settles the call; a failure must be one that allows the caller to try again. */
      const append = async (events: readonly EventInput[]): Promise<AppendResult[]> => {
        try {
          return await random.pick(writers).writer.append(events, 'platform');
        } catch (error) {
          if (!(error instanceof TrailError) || !error.retryable) throw error;
          return [];
        }
      };
      const sendNew = async () => {
        const events = Array.from({ length: 1 + random.below(random.chance(0.1) ? 400 : 5) }, fresh);
        for (const result of await append(events)) {
          if (result.status === 'refused') throw new Error(`refused: ${result.refusal.code}`);
          acknowledge(result.receipt);
        }
      };
      const sendAgain = async () => {
        const known = [...sent.values()];
        const events = Array.from({ length: 1 + random.below(5) }, () => random.pick(known));
        for (const result of await append(events)) {
          if (result.status === 'refused') throw new Error(`refused: ${result.refusal.code}`);
          acknowledge(result.receipt);
        }
      };
      const sendConflicts = async () => {
        const taken = sent.get(random.pick([...acknowledged.keys()]))!;
        const events = [{ ...taken, outcome: 'failure' as const }, event({ emitter: taken.emitter })];
        const results = await append(events);
        const codes = results.map((result) => result.status === 'refused' && result.refusal.code);
        if (results.length > 0 && codes.join(' ') !== 'ID_CONFLICT SEQUENCE_CONFLICT')
          throw new Error(`a conflict was not told: ${codes.join(' ')}`);
      };
      const setIndexBack = async () => {
        const drop = random.chance(0.5);
        // Rows are dropped while no tail writes them, and the cursor first.
        if (drop) await runner.stop();
        try {
          await tailsOf(admin, test.instance).updateOne({ _id: indexTail }, { $set: { next: 0 } });
          if (drop) await indexOf(admin, test.instance).deleteMany({});
          if (drop) await emittersOf(admin, test.instance).deleteMany({});
        } catch (error) {
          if (!(error instanceof MongoError)) throw error;
        }
        if (drop) runner = test.tails({ quiet: true });
      };

      await sendNew();
      while (acknowledged.size === 0) await sendNew();
      for (let round = 0; round < rounds; round += 1) {
        if (random.chance(0.7)) await admin.db('admin').command(randomFault(random, test.instance));
        const calls = Array.from({ length: 2 + random.below(5) }, () =>
          random.pick([sendNew, sendNew, sendAgain, sendConflicts])(),
        );
        if (random.chance(0.1)) calls.push(setIndexBack());
        await Promise.all(calls);
      }
      await admin.db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' });

      const entries: Entry[] = [];
      const end = await walkToEnd(segmentsOf(admin, test.instance), emptyHead, (_segment, more) =>
        entries.push(...more),
      );
      expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length);
      const numbers = entries.map(({ emitter }) => `${emitter.sequence}/${emitter.id}`);
      expect(new Set(numbers).size).toBe(entries.length);
      for (const entry of entries) expect(entrySchema.safeParse(entry).error).toBeUndefined();
      for (const receipt of receipts) expect(entries[receipt.index]?.id).toBe(receipt.id);

      const key = parseVkey(test.trail.vkey);
      const sizes = new Map<number, string>();
      for (const { index, checkpoint } of receipts) {
        const given = openCheckpoint(Buffer.from(checkpoint), [key], test.origin);
        expect(given.size).toBeGreaterThan(index);
        sizes.set(given.size, given.root.toString('hex'));
      }
      for (const [size, root] of sizes) {
        const given = { size, root: Buffer.from(root, 'hex') };
        expect(await isConsistent(given, end, test.trail.reader.tiles.subtrees())).toBe(true);
      }

      // Whatever stood in the log unacknowledged is acknowledged now, and with that the anchor is at the end.
      const unsettled = [...sent.values()].filter(({ id }) => !acknowledged.has(id));
      for (const result of await test.trail.writer.append(unsettled, 'platform'))
        expect(result.status).not.toBe('refused');
      expect(await test.trail.reader.fresh(60_000)).toBe(0);
      const rows = await test.trail.reader.find({}, { limit: 1_000_000 });
      expect(rows.map(({ index }) => index)).toEqual(
        Array.from({ length: await test.trail.reader.size() }, (_, at) => at),
      );
      expect(rows.slice(0, entries.length).map(({ entry }) => entry)).toEqual(entries);
      for (const state of await test.trail.reader.emitters(rows.map(({ entry }) => entry.emitter.id)))
        expect(state).toMatchObject({ missing: [], truncated: null });
    });
  });
};
