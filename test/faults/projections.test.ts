/**
 * Faults at each write boundary of what is derived from the record: rows of the index, states of the emitters, tiles, and the
 * cursors of the tails that write them. After each, the projections are whole: what every entry says, once, and nothing else.
 */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leafHash, perfectRoot } from '../../domain/tree/hash.ts';
import type { Receipt } from '../../trail/append-item.ts';
import { indexOf, indexTail, tailsOf } from '../../trail/projection.ts';
import { tilesOf } from '../../trail/tile-reader.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';
import { expectInvariants } from './invariants.ts';
import { until } from './until.ts';

interface Row {
  readonly boundary: 'events' | 'emitters' | 'tiles' | 'tails';
  readonly fault: string;
  readonly persisted: boolean;
  readonly data: Document;
  readonly times: number;
}

const boundaries = ['events', 'emitters', 'tiles', 'tails'] as const;
const commandsOf = { events: 'insert', emitters: 'update', tiles: 'insert', tails: 'update' } as const;

const rows: Row[] = boundaries.flatMap((boundary): Row[] => [
  { boundary, fault: 'connection cut once', persisted: false, data: { closeConnection: true }, times: 1 },
  { boundary, fault: 'connection cut on the retry too', persisted: false, data: { closeConnection: true }, times: 2 },
  { boundary, fault: 'refused by a stepping-down primary', persisted: false, data: { errorCode: 11_602 }, times: 2 },
  { boundary, fault: 'refused for good', persisted: false, data: { errorCode: 13 }, times: 1 },
  {
    boundary,
    fault: 'written, but reported as not with a majority',
    persisted: true,
    data: { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
    times: 1,
  },
]);

/** So many that a tile of 256 hashes fills up. */
const eventsARow = 260;

describe('a fault at a write boundary of a projection', () => {
  let test: TestTrail;
  const receipts: Receipt[] = [];
  beforeAll(async () => {
    test = await openTestTrail();
    test.tails({ quiet: true });
  });
  afterAll(() => test.close());

  it.each(rows)('$boundary: $fault (persisted: $persisted)', async ({ boundary, fault, data, times }) => {
    const { admin } = test.database;
    const next = emitterOf(`${boundary} ${fault}`.replaceAll(/[^a-z]+/g, '-'));
    await admin.db('admin').command({
      configureFailPoint: 'failCommand',
      mode: { times },
      data: { failCommands: [commandsOf[boundary]], namespace: `tk_${test.instance}.${boundary}`, ...data },
    });
    try {
      const events = Array.from({ length: eventsARow }, () => next());
      for (const result of await test.trail.writer.append(events, 'platform')) {
        if (result.status === 'refused') throw new Error(result.refusal.code);
        receipts.push(result.receipt);
      }
      await until(async () => {
        const size = await test.trail.reader.size();
        const tails = await tailsOf(admin, test.instance).find({}).toArray();
        for (const name of [indexTail, 'tiles']) expect(tails.find(({ _id }) => _id === name)?.next).toBe(size);
      });
    } finally {
      await admin.db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' });
    }

    const { entries } = await expectInvariants(
      { instance: test.instance, origin: test.origin, vkey: test.trail.vkey, admin },
      receipts,
    );
    expect(await indexOf(admin, test.instance).countDocuments()).toBe(entries.length);
    for (const state of await test.trail.reader.emitters([...new Set(entries.map(({ emitter }) => emitter.id))]))
      expect(state).toMatchObject({ high: eventsARow, missing: [], truncated: null });
    const full = Math.floor(entries.length / 256);
    const leaves = (await test.trail.reader.tiles.entries(0, full * 256)).map((bytes) => leafHash(bytes));
    for (let tile = 0; tile < full; tile += 1) {
      const hashes = Buffer.concat(leaves.slice(256 * tile, 256 * (tile + 1)));
      const kept = await tilesOf(admin, test.instance).findOne({ _id: `0/${tile}` });
      expect(Buffer.from(kept!.hashes.buffer).equals(hashes)).toBe(true);
      expect(Buffer.from(kept!.root.buffer).equals(perfectRoot(hashes))).toBe(true);
    }
  });
});
