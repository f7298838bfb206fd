/**
 * Makes the rows of the index what the record says, where they are not. A row is written over in one step, so no query
 * and no writer that looks for a duplicate finds less than before. What the record itself does not vouch for is left.
 */
import { MongoServerError, type MongoClient } from 'mongodb';
import { hashLeaves, parseEntry, segmentEntries, segmentsOf } from '../segments.ts';
import { majority } from '../database.ts';
import { indexOf, type IndexRow } from '../projection.ts';
import { sameRow } from '../../domain/verification/rows.ts';
import { expectedRow, indexedTo, plain, storedRows } from './rows-check.ts';
import { rowsOutside } from './outside-log.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface Mending {
  readonly log: VerifiedLog;
  /** Projector duty. */
  readonly projector: MongoClient;
  readonly signal: AbortSignal;
}

/** Goes through segments of the record from `from` on; `next` is absent when all were gone through. */
export const repairRows = async (
  mending: Mending,
  { from, size, segmentsPerStep }: { from: number; size: number; segmentsPerStep: number },
): Promise<{ next: number | undefined; mended: number }> => {
  const { log, signal } = mending;
  const indexed = await indexedTo(log);
  let mended = 0;
  let next = from;
  for (let segments = 0; next < Math.min(size, indexed); segments += 1) {
    if (segments >= segmentsPerStep) return { next, mended };
    signal.throwIfAborted();
    const segment = await segmentsOf(log.client, log.instance).findOne({ _id: { $gte: next } }, { sort: { _id: 1 } });
    if (!segment || segment._id >= size) return { next: undefined, mended };
    next = segment._id + segment.n;
    const entries = segmentEntries(segment);
    const leaves = hashLeaves(entries);
    const expected = entries.map((bytes, position) =>
      expectedRow(segment._id, {
        index: segment._id + position,
        bytes,
        leaf: leaves.subarray(32 * position, 32 * position + 32),
        entry: parseEntry(bytes),
      }),
    );
    const stored = await storedRows(log, { from: segment._id, to: next });
    const present = new Map(stored.map((row) => [row['_id'] as unknown, plain(row)]));
    for (const { _id } of stored) if (!Number.isSafeInteger(_id)) mended += await remove(mending, _id as number);
    for (const row of expected) {
      const found = present.get(row._id);
      if (row._id >= indexed || (found && sameRow(plain(row), found))) continue;
      await write(mending, row);
      mended += 1;
    }
  }
  return { next: undefined, mended };
};

/** Writes a row over what stands there. A forged row that holds its id elsewhere is in the way, and goes. */
const write = async ({ log, projector }: Mending, row: IndexRow): Promise<void> => {
  const index = indexOf(projector, log.instance);
  const { _id, ...rest } = row;
  for (;;) {
    try {
      await index.replaceOne({ _id }, rest, { upsert: true, ...majority });
      return;
    } catch (error) {
      if (!(error instanceof MongoServerError) || error.code !== 11_000) throw error;
      // The log has each id once: whatever else has it is not what the record says.
      await index.deleteMany({ id: row.id, _id: { $ne: _id } }, majority);
    }
  }
};

const remove = async ({ log, projector }: Mending, _id: number): Promise<number> =>
  (await indexOf(projector, log.instance).deleteOne({ _id }, majority)).deletedCount;

/** Removes the rows of entries that there are not. */
export const removeForgedRows = async (mending: Mending, size: number): Promise<number> => {
  let removed = 0;
  for (;;) {
    const forged = await rowsOutside(mending.log, size);
    if (forged.length === 0) return removed;
    mending.signal.throwIfAborted();
    for (const id of forged) removed += await remove(mending, id as number);
  }
};
