/**
 * What a writer relies on at the end of the log, verified before it extends it: the last signed segment is computed again
 * from its entries, the control epoch from those before it as far as is bounded, and the rows of the index that stand for
 * them are held against them. The signed root alone vouches for the tree, not for what is kept beside it.
 */
import type { MongoClient } from 'mongodb';
import { isControlEntry } from '../../domain/entry.ts';
import { encodeEdge } from '../../domain/tree/edge.ts';
import { hashBytes } from '../../domain/tree/hash.ts';
import { compareRows } from '../../domain/verification/rows.ts';
import type { JudgedEntry } from '../../domain/verification/segment.ts';
import { controlActions } from '../../schema/taxonomy.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { emptyHead } from '../log-end.ts';
import { indexOf } from '../projection.ts';
import {
  headAfter,
  inconsistent,
  parseEntry,
  segmentEntries,
  segmentsOf,
  verifySegment,
  type LogHead,
  type SegmentDocument,
} from '../segments.ts';
import { expectedRow, indexedTo, plain, storedRows } from './rows-check.ts';

export interface RightEdge {
  /** First index from which on the index is not to be relied on: what is there is looked up in the record. */
  readonly indexTrustedTo: number;
  /** Whether the rows agree with the record by now, for where they did not: the index may have been made again. */
  isRepaired(): Promise<boolean>;
}

/** Entries before the last segment in which the last control entry is looked for. */
const lookedBackMax = 2000;

/** `head`: as anchored, its root being the signed one. Throws LOG_INCONSISTENT where the record is not what it says. */
export const verifyRightEdge = async (client: MongoClient, instance: InstanceId, head: LogHead): Promise<RightEdge> => {
  if (head.lastSegment < 0) return { indexTrustedTo: Infinity, isRepaired: async () => true };
  const walk = { client, instance };
  const last = await segmentEndingAt(walk, head.size);
  await requireControlEpoch(walk, last);
  return {
    indexTrustedTo: (await rowsAgree(walk, last)) ? Infinity : last._id,
    isRepaired: async () => rowsAgree(walk, await segmentEndingAt(walk, head.size)),
  };
};

interface Walk {
  readonly client: MongoClient;
  readonly instance: InstanceId;
}

/** The segment that ends at `size`, everything in it computed again from what is before it. */
const segmentEndingAt = async ({ client, instance }: Walk, size: number): Promise<SegmentDocument> => {
  const segments = segmentsOf(client, instance);
  const find = async (end: number): Promise<SegmentDocument> => {
    const found = await segments.findOne({ _id: { $gte: 0, $lt: end } }, { sort: { _id: -1 } });
    if (!found || found._id + found.n !== end) throw inconsistent(found?._id ?? 0, `no segment ends at ${end}`);
    return found;
  };
  const segment = await find(size);
  const before = segment._id === 0 ? emptyHead : headAfter(await find(segment._id));
  const { next } = verifySegment(before, segment);
  if (!encodeEdge(next.edge).equals(segment.edge.buffer))
    throw inconsistent(segment._id, 'its right edge is not that of its entries');
  return segment;
};

/** Each segment agrees with the one before it; so what the last one says is true if the one with the entry is there. */
const requireControlEpoch = async (walk: Walk, last: SegmentDocument): Promise<void> => {
  const claimed = last.control;
  let segment = last;
  for (let entries = segment.n; ; entries += segment.n) {
    const control = lastControlOf(segment);
    if (control !== undefined || segment._id === 0) {
      if (claimed !== (control ?? -1)) throw wrongEpoch(last, claimed);
      return;
    }
    if (entries >= lookedBackMax) break;
    segment = await segmentEndingAt(walk, segment._id);
  }
  if (claimed >= segment._id || !(await isControlAt(walk, claimed))) throw wrongEpoch(last, claimed);
  // Further back the index tells, where the record agrees with it.
  const newer = await indexOf(walk.client, walk.instance).findOne(
    { action: { $in: [...controlActions] }, control: { $exists: true }, _id: { $gt: claimed } },
    { sort: { _id: -1 }, projection: { _id: 1 } },
  );
  if (newer && newer._id < segment._id && (await isControlAt(walk, newer._id))) throw wrongEpoch(last, claimed);
};

const wrongEpoch = ({ _id }: SegmentDocument, claimed: number) =>
  inconsistent(_id, `its control epoch is not ${claimed}: a control entry stands elsewhere`);

const lastControlOf = (segment: SegmentDocument): number | undefined => {
  const position = segmentEntries(segment).findLastIndex((bytes) => isControlEntry(parseEntry(bytes)));
  return position < 0 ? undefined : segment._id + position;
};

/** -1 stands for none, which is what there is where nothing speaks against it. */
const isControlAt = async ({ client, instance }: Walk, index: number): Promise<boolean> => {
  if (index < 0) return index === -1;
  const segment = await segmentsOf(client, instance).findOne({ _id: { $gte: 0, $lte: index } }, { sort: { _id: -1 } });
  const bytes = segment && segmentEntries(segment)[index - segment._id];
  return bytes !== undefined && bytes !== null && isControlEntry(parseEntry(bytes));
};

const rowsAgree = async (walk: Walk, segment: SegmentDocument): Promise<boolean> => {
  const range = { from: segment._id, to: segment._id + segment.n };
  const indexed = await indexedTo(walk);
  const rows = await storedRows(walk, range);
  const expected = new Map(
    segmentEntries(segment).map((bytes, position) => {
      const leaf = Buffer.from(segment.leaves.buffer.subarray(position * hashBytes, (position + 1) * hashBytes));
      const judged: JudgedEntry = { index: segment._id + position, bytes, leaf, entry: parseEntry(bytes) };
      return [judged.index, plain(expectedRow(segment._id, judged))] as const;
    }),
  );
  for (const index of expected.keys()) if (index >= indexed) expected.delete(index);
  return compareRows(range, expected, rows.map(plain)).length === 0;
};
