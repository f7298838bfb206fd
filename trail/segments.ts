/**
 * The record: a chain of segments, one MongoDB document a batch. A segment's `_id` is the index of its first entry, so
 * that inserting it is the compare-and-set: two writers can't both extend the log. Segments carry no signature; what
 * is signed is the root that they hash to, and only after a majority holds them.
 */
import { Binary, type Collection, type MongoClient } from 'mongodb';
import { isControlEntry } from '../domain/entry.ts';
import { appendLeaves, decodeEdge, encodeEdge, type GrownTree } from '../domain/tree/edge.ts';
import { hashBytes, leafHashInto } from '../domain/tree/hash.ts';
import { decodeBundle, encodeBundle } from '../domain/tree/tiles.ts';
import type { Entry } from '../schema/event.ts';
import type { InstanceId } from '../schema/ids.ts';
import { instanceDatabase, majority, recordCollection } from './database.ts';
import { TrailError } from './errors.ts';

export const segmentFormat = 2;

export interface SegmentDocument {
  /** Index of the first entry. */
  _id: number;
  v: typeof segmentFormat;
  /** Number of entries. */
  n: number;
  /** Entries in the form of a C2SP entry bundle: each with its length before it, 2 bytes big-endian. */
  entries: Binary;
  /** RFC 6962 leaf hashes, 32 bytes each. */
  leaves: Binary;
  /** Root of the tree that ends with this segment, and its right edge. */
  root: Binary;
  edge: Binary;
  /** Control epoch: index of the last control entry up to the end of this segment, -1 for none. */
  control: number;
  /** Documents that hold the boxes of this segment's parts. */
  boxes: ListedBoxes[];
}

export interface ListedBoxes {
  /** `_id` of the document. */
  id: Binary;
  /** Class and month of what is inside: `<class>/<yyyy-mm>`. */
  of: string;
  /** Positions in the segment of the first and the last entry that have a part inside. */
  from: number;
  to: number;
}

/** Bytes of entries in one segment at most. */
export const segmentBytesMax = 4 * 1024 * 1024;
export const segmentEntriesMax = 2000;

/** State of the log between two segments. */
export interface LogHead extends GrownTree {
  readonly controlEpoch: number;
  /** First index of the last segment, -1 for an empty log. */
  readonly lastSegment: number;
}

/**
 * The segments of one instance. Documents of boxes stand in the same collection under an `_id` of another type: a
 * filter on a number's `_id` never meets them, and whoever wants all segments asks for `allSegments`.
 */
export const segmentsOf = (client: MongoClient, instance: InstanceId): Collection<SegmentDocument> =>
  client.db(instanceDatabase(instance)).collection<SegmentDocument>(recordCollection, majority);

export const allSegments = { _id: { $gte: 0 } } as const;

export const hashLeaves = (entries: readonly Uint8Array[]): Buffer => {
  const leaves = Buffer.allocUnsafe(entries.length * hashBytes);
  for (const [position, entry] of entries.entries()) leafHashInto(entry, leaves, position * hashBytes);
  return leaves;
};

export const buildSegment = (
  head: LogHead,
  batch: { entries: readonly Buffer[]; leaves: Buffer; lastControl: number; boxes: readonly ListedBoxes[] },
): { segment: SegmentDocument; next: LogHead } => {
  const grown = appendLeaves(head.edge, head.size, batch.leaves);
  const controlEpoch = batch.lastControl < 0 ? head.controlEpoch : head.size + batch.lastControl;
  const segment: SegmentDocument = {
    _id: head.size,
    v: segmentFormat,
    n: batch.entries.length,
    entries: new Binary(encodeBundle(batch.entries)),
    leaves: new Binary(batch.leaves),
    root: new Binary(grown.root),
    edge: new Binary(encodeEdge(grown.edge)),
    control: controlEpoch,
    boxes: [...batch.boxes],
  };
  return { segment, next: { ...grown, controlEpoch, lastSegment: head.size } };
};

/** Throws FORMAT_UNKNOWN for a segment that another version of the format wrote. */
export const requireFormat = ({ _id, v }: Pick<SegmentDocument, '_id' | 'v'>): void => {
  if ((v as number) !== segmentFormat)
    throw new TrailError(
      'FORMAT_UNKNOWN',
      `the segment at ${_id} is in format ${String(v)}, known is ${segmentFormat}`,
    );
};

/** Bytes of the entries of a segment; throws LOG_INCONSISTENT where they can't be taken apart. */
export const segmentEntries = (segment: SegmentDocument): Buffer[] => {
  requireFormat(segment);
  let entries: readonly Uint8Array[];
  try {
    entries = decodeBundle(segment.entries.buffer);
  } catch (cause) {
    throw inconsistent(segment._id, 'its entries are not a whole bundle', cause);
  }
  if (entries.length !== segment.n) throw inconsistent(segment._id, `it should hold ${segment.n} entries`);
  return entries.map((entry) => Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength));
};

export const parseEntry = (bytes: Uint8Array): Entry => {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as Entry;
  } catch (cause) {
    throw new TrailError('LOG_INCONSISTENT', 'an entry in the log is not JSON', { cause });
  }
};

/** The head after a segment that follows `head`, everything in it computed again from its entries. */
export const verifySegment = (head: LogHead, segment: SegmentDocument): { next: LogHead; entries: Entry[] } => {
  if (segment._id !== head.size) throw inconsistent(segment._id, `the log ends at ${head.size}`);
  const bytes = segmentEntries(segment);
  if (bytes.length === 0) throw inconsistent(segment._id, 'it is empty');
  const leaves = hashLeaves(bytes);
  const grown = appendLeaves(head.edge, head.size, leaves);
  if (!leaves.equals(segment.leaves.buffer)) throw inconsistent(segment._id, "its leaf hashes are not its entries'");
  if (!grown.root.equals(segment.root.buffer)) throw inconsistent(segment._id, 'its root is not that of its entries');
  const entries = bytes.map(parseEntry);
  const lastControl = entries.findLastIndex(isControlEntry);
  const controlEpoch = lastControl < 0 ? head.controlEpoch : head.size + lastControl;
  if (segment.control !== controlEpoch) throw inconsistent(segment._id, 'its control epoch is not that of its entries');
  return { next: { ...grown, controlEpoch, lastSegment: segment._id }, entries };
};

/** The head that ends with this segment, taken from its stored right edge, which must give its root. */
export const headAfter = (segment: SegmentDocument): LogHead => {
  requireFormat(segment);
  const size = segment._id + segment.n;
  const { edge, root } = appendLeaves(decodeEdge(segment.edge.buffer, size), size, Buffer.alloc(0));
  return { edge, size, root, controlEpoch: segment.control, lastSegment: segment._id };
};

export const inconsistent = (first: number, what: string, cause?: unknown): TrailError =>
  new TrailError('LOG_INCONSISTENT', `the segment at ${first}: ${what}`, { cause });
