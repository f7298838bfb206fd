/**
 * Faults at each write boundary of an append. A row: where, how it fails, and whether what was being written is there
 * afterwards. After each, with the same process and with a new one in its place, the same events are sent again, and:
 * every acknowledged event is there exactly once, at its index; every checkpoint given out is consistent with the last;
 * the record hashes to what was signed.
 */
import type { Document, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import type { EventInput } from '../../schema/event.ts';
import type { Receipt } from '../../trail/append-item.ts';
import { TrailError } from '../../trail/errors.ts';
import { emptyHead, walkToEnd } from '../../trail/log-end.ts';
import { allSegments, segmentsOf } from '../../trail/segments.ts';
import type { Trail } from '../../trail/trail.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';
import { isConsistent } from './append-consistency.ts';
import { describeRandomFaults } from './append-random.ts';

interface Row {
  readonly boundary: 'record' | 'anchors' | 'keys' | 'subjects';
  readonly fault: string;
  readonly persisted: boolean;
  readonly data: Document;
  readonly times: number;
}

const boundaries = ['keys', 'subjects', 'record', 'anchors'] as const;
const control: ReadonlySet<string> = new Set(['keys', 'subjects', 'anchors']);

const rows: Row[] = boundaries.flatMap((boundary): Row[] => [
  { boundary, fault: 'connection cut once', persisted: false, data: { closeConnection: true }, times: 1 },
  { boundary, fault: 'connection cut on the retry too', persisted: false, data: { closeConnection: true }, times: 2 },
  { boundary, fault: 'connection cut many times', persisted: false, data: { closeConnection: true }, times: 6 },
  { boundary, fault: 'refused by a stepping-down primary', persisted: false, data: { errorCode: 11_602 }, times: 1 },
  {
    boundary,
    fault: 'written, but reported as not with a majority',
    persisted: true,
    data: { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
    times: 1,
  },
  {
    boundary,
    fault: 'written, but reported as interrupted, twice',
    persisted: true,
    data: { writeConcernError: { code: 91, errmsg: 'shutdown in progress' } },
    times: 2,
  },
]);

const retryUntilSettled = async (trail: Trail, events: readonly EventInput[]): Promise<Receipt[]> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const results = await trail.writer.append(events, 'platform');
      return results.map((result) => {
        if (result.status === 'refused') throw new Error(`refused: ${result.refusal.code}`);
        return result.receipt;
      });
    } catch (error) {
      if (attempt === 20 || !(error instanceof TrailError) || !error.retryable) throw error;
    }
  }
};

describe('a fault at a write boundary of an append', () => {
  let test: TestTrail;
  const receipts: Receipt[] = [];
  beforeAll(async () => {
    test = await openTestTrail();
    test.tails();
  });
  afterAll(() => test.close());

  const inject = (row: Row): Promise<Document> => {
    const database = control.has(row.boundary) ? 'tk_control' : `tk_${test.instance}`;
    return test.database.admin.db('admin').command({
      configureFailPoint: 'failCommand',
      mode: { times: row.times },
      data: { failCommands: ['insert'], namespace: `${database}.${row.boundary}`, ...row.data },
    });
  };
  const clear = (admin: MongoClient) => admin.db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' });

  it.each(rows)('$boundary: $fault (persisted: $persisted)', async (row) => {
    const name = `${row.boundary} ${row.fault}`.replaceAll(/[^a-z]+/g, '-');
    const next = emitterOf(name);
    // A new subject each time, so that a key and a subject have to be written.
    const subjects = [{ system: 'salesforce', kind: 'Contact', id: name }];
    const parts = [{ name: 'after', content: 'x', subject: 0 }];
    const events = [next({ subjects, parts }), next(), next()];
    await inject(row);
    try {
      const first = await test.trail.writer.append(events, 'platform').catch((error: unknown) => error);
      if (first instanceof Error && !(first instanceof TrailError && first.retryable)) throw first;
    } finally {
      await clear(test.database.admin);
    }
    const again = await retryUntilSettled(test.trail, events);
    const elsewhere = await retryUntilSettled(await test.another(), events);
    expect(elsewhere.map(({ index }) => index)).toEqual(again.map(({ index }) => index));
    receipts.push(...again, ...elsewhere);

    const ids: string[] = [];
    const end = await walkToEnd(segmentsOf(test.database.admin, test.instance), emptyHead, (_segment, entries) => {
      ids.push(...entries.map(({ id }) => id));
    });
    for (const receipt of receipts) expect(ids[receipt.index]).toBe(receipt.id);
    expect(new Set(ids).size).toBe(ids.length);
    const key = parseVkey(test.trail.vkey);
    for (const checkpoint of new Set(receipts.map((receipt) => receipt.checkpoint))) {
      const given = openCheckpoint(Buffer.from(checkpoint), [key], test.origin);
      expect(await isConsistent(given, end, test.trail.reader.tiles.subtrees())).toBe(true);
    }
  });

  it('a crash before the segment leaves nothing that is visible', async () => {
    const before = await test.trail.reader.size();
    await inject({ boundary: 'record', fault: '', persisted: false, data: { errorCode: 13 }, times: 1 });
    await expect(test.trail.writer.append([emitterOf('unauthorised')()], 'platform')).rejects.toThrow(TrailError);
    await clear(test.database.admin);
    expect(await test.trail.reader.size()).toBe(before);
  });

  it('a segment far ahead of the end is not part of the log', async () => {
    const segments = segmentsOf(test.database.admin, test.instance);
    const last = (await segments.find(allSegments).sort({ _id: -1 }).limit(1).next())!;
    const stray = last._id + 1_000_000;
    await segments.insertOne({ ...last, _id: stray });
    const fresh = await test.another();
    const [receipt] = await retryUntilSettled(fresh, [emitterOf('after-stray')()]);
    expect(receipt?.index).toBeLessThan(stray);
    await segments.deleteOne({ _id: stray });
  });

  it('a log that was rolled back behind its anchor is not extended', async () => {
    const segments = segmentsOf(test.database.admin, test.instance);
    const last = (await segments.find(allSegments).sort({ _id: -1 }).limit(1).next())!;
    await segments.deleteOne({ _id: last._id });
    const fresh = await test.another();
    await expect(fresh.writer.append([emitterOf('rolled-back')()], 'platform')).rejects.toMatchObject({
      code: 'LOG_BEHIND_ANCHOR',
    });
    await segments.insertOne(last);
  });

  it('a log whose history was rewritten is not extended', async () => {
    const segments = segmentsOf(test.database.admin, test.instance);
    const last = (await segments.find(allSegments).sort({ _id: -1 }).limit(1).next())!;
    const edge = Buffer.from(last.edge.buffer);
    edge[0]! ^= 1;
    await segments.replaceOne({ _id: last._id }, { ...last, edge: edge as never });
    const fresh = await test.another();
    await expect(fresh.writer.append([emitterOf('rewritten')()], 'platform')).rejects.toMatchObject({
      code: 'LOG_INCONSISTENT',
    });
    await segments.replaceOne({ _id: last._id }, last);
  });
});

// In this file, since there is one fail point a server, and files run side by side.
describeRandomFaults();
