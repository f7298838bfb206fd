/**
 * What must hold after any fault: every acknowledged event is there exactly once, at its index; every checkpoint ever
 * given out is consistent with the last; nothing partial is visible.
 */
import assert from 'node:assert/strict';
import type { MongoClient } from 'mongodb';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { entrySchema, type Entry } from '../../schema/event.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { Receipt } from '../../trail/append-item.ts';
import { boxesOf, boxFaults, type BoxDocument } from '../../trail/boxes.ts';
import { emptyHead, walkToEnd } from '../../trail/log-end.ts';
import { indexOf } from '../../trail/projection.ts';
import { segmentsOf, type LogHead } from '../../trail/segments.ts';
import { TileReader } from '../../trail/tile-reader.ts';
import { isConsistent } from './append-consistency.ts';

export interface FaultedLog {
  readonly instance: InstanceId;
  readonly origin: string;
  readonly vkey: string;
  /** Reads from a majority. */
  readonly admin: MongoClient;
}

/** All entries and the end of the log. Throws an AssertionError where an invariant does not hold for these receipts. */
export const expectInvariants = async (
  { instance, origin, vkey, admin }: FaultedLog,
  receipts: readonly Receipt[],
): Promise<{ readonly entries: readonly Entry[]; readonly end: LogHead }> => {
  const entries: Entry[] = [];
  const listed: BoxDocument['_id'][] = [];
  const end = await walkToEnd(segmentsOf(admin, instance), emptyHead, (segment, more) => {
    for (const entry of more) entries.push(entry);
    for (const { id } of segment.boxes) listed.push(id);
  });

  // Each event once, each number of an emitter once, each entry whole.
  assert.equal(new Set(entries.map(({ id }) => id)).size, entries.length, 'an event stands in the log twice');
  const numbers = new Set(entries.map(({ emitter }) => `${emitter.sequence}/${emitter.id}`));
  assert.equal(numbers.size, entries.length, 'a number of an emitter stands in the log twice');
  for (const entry of entries) assert.ok(entrySchema.safeParse(entry).success, `the entry ${entry.id} is not whole`);

  const places = new Map<string, number>();
  for (const { id, index } of receipts) {
    assert.equal(entries[index]?.id, id, `what was acknowledged at ${index} is not there`);
    assert.equal(places.get(id) ?? index, index, `${id} was acknowledged at two places`);
    places.set(id, index);
  }

  const key = parseVkey(vkey);
  const given = new Map<string, { size: number; root: Buffer }>();
  for (const { index, checkpoint } of receipts) {
    const { size, root } = openCheckpoint(Buffer.from(checkpoint), [key], origin);
    assert.ok(size > index, `the checkpoint of size ${size} does not cover the entry ${index}`);
    given.set(`${size} ${root.toString('hex')}`, { size, root });
  }
  const tiles = new TileReader(instance, admin);
  for (const checkpoint of given.values())
    assert.ok(
      await isConsistent(checkpoint, end, tiles.subtrees()),
      `the checkpoint of size ${checkpoint.size} is of another history`,
    );

  // No segment without its boxes, each as it was written.
  const boxes = boxesOf(admin, instance);
  for (const id of listed) {
    const document = await boxes.findOne({ _id: id });
    if (!document) throw new Error(`the boxes ${Buffer.from(id.buffer).toString('hex')} are listed and not there`);
    assert.deepEqual(boxFaults(document), []);
  }

  // No row of the index without its entry.
  for await (const row of indexOf(admin, instance).find({}))
    assert.equal(entries[row._id]?.id, row.id, `the index has a row ${row._id} of another entry`);
  return { entries, end };
};
