/**
 * The one command that writes boxes and segment, cut at each boundary within it. A row: how many of its documents were
 * executed before the connection was lost. After each, the same events are sent again, by the same process and by a new
 * one: each is in the log once, at its index, and every box that a segment lists stands and opens.
 */
import { Binary, MongoNetworkError, type Collection, type MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventInput } from '../../schema/event.ts';
import type { AppendResult } from '../../trail/append-item.ts';
import { boxesOf, boxFaults } from '../../trail/boxes.ts';
import { majority, recordCollection } from '../../trail/database.ts';
import { emptyHead, walkToEnd } from '../../trail/log-end.ts';
import { seeAll } from '../../trail/reader.ts';
import { segmentsOf } from '../../trail/segments.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import { emitterOf } from '../trail/events.ts';
import { overriding } from '../trail/interceptedReads.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

interface Row {
  readonly executed: string;
  /** Of the documents of the command, in order; the last of them is the segment. */
  readonly count: (documents: number) => number;
}

const rows: readonly Row[] = [
  { executed: 'nothing', count: () => 0 },
  { executed: 'the first box document', count: () => 1 },
  { executed: 'all boxes, not the segment', count: (documents) => documents - 1 },
  { executed: 'all of it', count: (documents) => documents },
];

describe('the command that writes a segment with its boxes, cut off', () => {
  let test: TestTrail;
  let trail: Trail;
  let cut: Row | undefined;
  const commands: number[] = [];
  beforeAll(async () => {
    test = await openTestTrail();
    test.tails();
    const { clients } = test.database;
    trail = await openTrail(test.instance, test.origin, {
      clients: { ...clients, appender: cutting(clients.appender) },
      keys: test.keys,
    });
  });
  afterAll(() => test.close());

  const cutting = (client: MongoClient): MongoClient =>
    overriding(client, {
      db: (name: string) => {
        const db = client.db(name);
        return overriding(db, {
          collection: (collection: string, options: object) => {
            const found = db.collection(collection, options);
            return collection === recordCollection ? overriding(found, { insertMany: insertCut(found) }) : found;
          },
        });
      },
    });
  const insertCut = (collection: Collection) => async (documents: never[], options: { ordered: boolean }) => {
    const row = options.ordered ? cut : undefined;
    if (!row) return collection.insertMany(documents, options);
    cut = undefined;
    commands.push(documents.length);
    const executed = documents.slice(0, row.count(documents.length));
    if (executed.length > 0) await collection.insertMany(executed, { ordered: true, ...majority });
    throw new MongoNetworkError('connection lost');
  };

  const accepted = (results: readonly AppendResult[]): number[] =>
    results.map((result) => {
      if (result.status === 'refused') throw new Error(result.refusal.code);
      return result.receipt.index;
    });

  it.each(rows)('after $executed', async (row) => {
    const next = emitterOf(row.executed.replaceAll(/[^a-z]+/g, '-'));
    // Several documents: each holds 256 KiB.
    const events: EventInput[] = Array.from({ length: 6 }, (_, number) =>
      next({ parts: [{ name: 'after', content: `${number}`.repeat(100_000) }] }),
    );
    cut = row;
    const indexes = accepted(await trail.writer.append(events, 'platform'));
    expect(commands.at(-1)).toBeGreaterThan(3);
    for (const by of [trail, await test.another()])
      expect(accepted(await by.writer.append(events, 'platform'))).toEqual(indexes);

    const { admin } = test.database;
    const ids: string[] = [];
    const listed: Buffer[] = [];
    await walkToEnd(segmentsOf(admin, test.instance), emptyHead, (segment, entries) => {
      ids.push(...entries.map(({ id }) => id));
      for (const { id } of segment.boxes) listed.push(Buffer.from(id.buffer));
    });
    expect(indexes.map((index) => ids[index])).toEqual(events.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of listed) {
      const document = await boxesOf(admin, test.instance).findOne({ _id: new Binary(id) });
      expect(boxFaults(document!)).toEqual([]);
    }
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    const found = await test.trail.reader.find({ _id: { $in: indexes } }, { limit: 10 });
    const opened = await test.trail.reader.withParts(found, seeAll);
    for (const [number, { parts }] of opened.entries())
      expect(parts?.['after']).toEqual({ state: 'present', content: `${number}`.repeat(100_000) });
  });

  it('leaves boxes that no segment lists where the process ends there, and nobody minds', async () => {
    const { admin, clients } = test.database;
    const before = await test.trail.reader.size();
    const boxes = await boxesOf(admin, test.instance).countDocuments({ boxes: { $exists: true } });
    // The process is gone: nothing of it goes on after the boxes.
    const dying = await openTrail(test.instance, test.origin, {
      clients: { ...clients, appender: dyingAfterBoxes(clients.appender) },
      keys: test.keys,
    });
    const event = emitterOf('dying')();
    void dying.writer.append([event], 'platform');
    await died.promise;
    expect(await boxesOf(admin, test.instance).countDocuments({ boxes: { $exists: true } })).toBe(boxes + 1);
    expect(await test.trail.reader.size()).toBe(before);
    expect(await (await test.another()).writer.append([event], 'platform')).toMatchObject([{ status: 'accepted' }]);
  });

  const died = Promise.withResolvers<void>();
  const dyingAfterBoxes = (client: MongoClient): MongoClient =>
    overriding(client, {
      db: (name: string) => {
        const db = client.db(name);
        return overriding(db, {
          collection: (collection: string, options: object) => {
            const found = db.collection(collection, options);
            if (collection !== recordCollection) return found;
            return overriding(found, {
              insertMany: async (documents: never[]) => {
                await found.insertMany(documents.slice(0, -1), { ordered: true, ...majority });
                died.resolve();
                return new Promise(() => undefined);
              },
            });
          },
        });
      },
    });
});
