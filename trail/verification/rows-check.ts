/** The rows of the index beside the entries that they are made of. */
import { Binary, type Document } from 'mongodb';
import type { Difference } from '../../domain/verification/difference.ts';
import { compareRows, type Row, type RowRange } from '../../domain/verification/rows.ts';
import type { JudgedEntry } from '../../domain/verification/segment.ts';
import { hashBytes } from '../../domain/tree/hash.ts';
import { entryAt } from './record-entries.ts';
import { indexOf, indexRow, indexTail, tailsOf, type IndexRow } from '../projection.ts';
import type { VerifiedLog } from './verified-log.ts';

/** Number of entries that the index says it holds. */
export const indexedTo = async ({ client, instance }: Pick<VerifiedLog, 'client' | 'instance'>): Promise<number> =>
  (await tailsOf(client, instance).findOne({ _id: indexTail }))?.next ?? 0;

/** Rows of a range as they are stored; fractional `_id`s are among them. */
export const storedRows = async (
  { client, instance }: Pick<VerifiedLog, 'client' | 'instance'>,
  { from, to }: RowRange,
): Promise<Document[]> =>
  indexOf(client, instance)
    .find({ _id: { $gte: from, $lt: to } })
    .sort({ _id: 1 })
    .toArray();

export const expectedRow = (segment: number, { index, bytes, leaf, entry }: JudgedEntry): IndexRow =>
  indexRow(index, segment, bytes, leaf, entry);

/** A row or document as a plain object: binary values as bytes. */
export const plain = (document: Document): Row =>
  Object.fromEntries(
    Object.entries(document).map(([name, value]) => [name, value instanceof Binary ? value.buffer : value]),
  );

/** Leaf hashes of a range as the index holds them; undefined where a row is not there. */
export const leavesInIndex = (rows: readonly Document[], { from, to }: RowRange): Buffer | undefined => {
  const leaves = Buffer.alloc((to - from) * hashBytes);
  let count = 0;
  for (const { _id, leaf } of rows) {
    if (!Number.isSafeInteger(_id) || !(leaf instanceof Binary) || leaf.length() !== hashBytes) continue;
    leaves.set(leaf.buffer, (Number(_id) - from) * hashBytes);
    count += 1;
  }
  return count === to - from ? leaves : undefined;
};

/**
 * `entries`: those that are what was logged. Those from `indexed` on may not have a row yet. A row that is missing since
 * its entry's id stands in the log a second time is named as what it is.
 */
export const checkRows = async (
  log: VerifiedLog,
  range: RowRange,
  about: { entries: readonly JudgedEntry[]; segment: number; rows: readonly Document[]; indexed: number },
): Promise<Difference[]> => {
  const expected = new Map(
    about.entries
      .filter(({ index }) => index < about.indexed)
      .map((judged) => [judged.index, plain(expectedRow(about.segment, judged))]),
  );
  const differences = compareRows(range, expected, about.rows.map(plain));
  return Promise.all(differences.map((difference) => asDuplicate(log, about.entries, difference)));
};

const asDuplicate = async (
  { client, instance }: VerifiedLog,
  entries: readonly JudgedEntry[],
  difference: Difference,
): Promise<Difference> => {
  if (difference.kind !== 'row-missing') return difference;
  const judged = entries.find(({ index }) => index === difference.index);
  if (!judged) return difference;
  const other = await indexOf(client, instance).findOne({ id: judged.entry.id });
  // Only where it is the row of that entry, and not one that was forged to keep this one out.
  if (!other || !(other._id < judged.index) || !(await standsAt({ client, instance }, other))) return difference;
  const { index, place } = difference;
  return { kind: 'duplicate-id', store: 'record', ...(index !== undefined && { index }), place, belongsAt: other._id };
};

/** Whether the row's bytes are those that the record has at its index. */
const standsAt = async (log: Pick<VerifiedLog, 'client' | 'instance'>, row: IndexRow): Promise<boolean> => {
  const bytes = await entryAt(log, row._id);
  return bytes !== undefined && bytes.equals(row.entry.buffer);
};
