/**
 * Walks along the record, from a segment whose beginning is known, and looks at everything that belongs to each one: its
 * own fields, the checkpoints that were signed over it, its boxes, its rows of the index.
 */
import type { Looked } from '../../domain/verification/contract.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { added, lookedAtNothing } from '../../domain/verification/looked.ts';
import { judgeSegment, type Judgement, type Standing } from '../../domain/verification/segment.ts';
import { readBundle } from '../../domain/tree/bundle.ts';
import { hashBytes } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import { indexOf } from '../projection.ts';
import { segmentFormat, segmentsOf, type SegmentDocument } from '../segments.ts';
import { tilesOf } from '../tile-reader.ts';
import { checkBoxes } from './boxes-check.ts';
import { checkRows, indexedTo, leavesInIndex, storedRows } from './rows-check.ts';
import { anchoredRoots, type AnchoredRoots } from './signed-roots.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface WalkOptions {
  readonly standing: Standing;
  /** Where the log ends, as it was signed. */
  readonly to: number;
  /** Ends after the segment with which this many entries were looked at. */
  readonly entriesMax: number;
  readonly signal?: AbortSignal;
}

export interface Walked {
  readonly standing: Standing;
  readonly looked: Looked;
  readonly differences: readonly Difference[];
}

const segmentsPerCall = 4;

/** From the standing on, up to `to` or as far as `entriesMax` allows. The standing moves on whatever is found. */
export const walkRecord = async (log: VerifiedLog, options: WalkOptions): Promise<Walked> => {
  const { to, entriesMax, signal } = options;
  const differences: Difference[] = [];
  let { standing } = options;
  let looked = lookedAtNothing;
  const indexedBefore = await indexedTo(log);
  const segments = segmentsOf(log.client, log.instance)
    .find({ _id: { $gte: standing.size, $lt: to } })
    .sort({ _id: 1 })
    .batchSize(segmentsPerCall);
  for await (const segment of segments) {
    signal?.throwIfAborted();
    // One more is read than is looked at: strays stand inside the range of the last one.
    if (looked.entries >= entriesMax && segment._id >= standing.size) return { standing, looked, differences };
    if (segment._id < standing.size || !Number.isSafeInteger(segment._id)) {
      differences.push({ kind: 'stray-segment', store: 'record', place: `segments/${segment._id}` });
      continue;
    }
    if (!isSegment(segment)) {
      differences.push({
        kind: 'malformed-segment',
        store: 'record',
        index: segment._id,
        place: `segments/${segment._id}`,
      });
      continue;
    }
    if (segment._id > standing.size) {
      differences.push(missing(standing.size, segment._id));
      standing = { size: segment._id, edge: undefined, control: undefined };
    }
    const found = await lookAt(log, standing, segment, indexedBefore);
    standing = found.standing;
    differences.push(...found.differences);
    looked = added(looked, found.looked);
  }
  if (standing.size < to) {
    differences.push(missing(standing.size, to));
    standing = { size: to, edge: undefined, control: undefined };
  }
  return { standing, looked, differences };
};

const missing = (from: number, to: number): Difference => ({
  kind: 'missing-entries',
  store: 'record',
  index: from,
  lastIndex: to - 1,
  place: `segments/${from}`,
});

const isSegment = ({ v, n, entries, leaves, root, edge, control, boxes }: SegmentDocument): boolean =>
  v === segmentFormat &&
  Number.isSafeInteger(n) &&
  n > 0 &&
  [entries, leaves, root, edge].every((bytes) => (bytes as unknown) instanceof Object && 'buffer' in bytes) &&
  Number.isSafeInteger(control) &&
  Array.isArray(boxes);

const lookAt = async (
  log: VerifiedLog,
  before: Standing,
  segment: SegmentDocument,
  indexed: number,
): Promise<Walked> => {
  const range = { from: segment._id, to: segment._id + segment.n };
  const [rows, anchored] = await Promise.all([storedRows(log, range), anchoredRoots(log, range.from, range.to)]);
  const judge = (otherLeaves: readonly Uint8Array[]): Judgement =>
    judgeSegment(
      before,
      {
        first: segment._id,
        count: segment.n,
        entries: segment.entries.buffer,
        leaves: segment.leaves.buffer,
        root: segment.root.buffer,
        edge: segment.edge.buffer,
        control: segment.control,
      },
      { signed: anchored.roots, otherLeaves, instance: log.instance },
    );
  const inIndex = leavesInIndex(rows, range);
  let judgement = judge(inIndex ? [inIndex] : []);
  if (judgement.differences.some(({ kind, lastIndex }) => kind === 'entry-altered' && lastIndex !== undefined)) {
    const inTiles = await leavesInTiles(log, range.from, range.to);
    if (inTiles) judgement = judge([inTiles]);
  }
  const boxes = await checkBoxes(log, segment, judgement.entries);
  // While the index is being made again, its rows say nothing.
  const held = Math.min(indexed, await indexedTo(log));
  const rowDifferences = await checkRows(log, range, {
    entries: judgement.entries,
    segment: segment._id,
    rows,
    indexed: held,
  });
  const recordDifferences = await Promise.all(judgement.differences.map((one) => placed(log, segment, one)));
  return {
    standing: judgement.after,
    looked: {
      ...lookedAtNothing,
      entries: segment.n,
      segments: 1,
      boxes: boxes.boxes,
      opened: boxes.opened,
      rows: rows.length,
      checkpoints: anchored.roots.length,
    },
    differences: [
      ...recordDifferences,
      ...anchored.differences,
      ...wrongSegments(anchored, segment),
      ...boxes.differences,
      ...rowDifferences,
    ],
  };
};

/** Anchored checkpoints that name another segment as the one that they end with: a writer would look there. */
const wrongSegments = ({ roots }: AnchoredRoots, segment: SegmentDocument): Difference[] =>
  roots
    .filter((root) => root.size === segment._id + segment.n && root.segment !== segment._id)
    .map(({ size }) => ({ kind: 'malformed-checkpoint', store: 'anchors', index: size - 1, place: `anchors/${size}` }));

/** Where an altered entry really belongs, if the index knows its bytes from elsewhere. */
const placed = async (log: VerifiedLog, segment: SegmentDocument, difference: Difference): Promise<Difference> => {
  if (difference.kind !== 'entry-altered' || difference.index === undefined) return difference;
  const bytes = readBundle(segment.entries.buffer).entries[difference.index - segment._id];
  if (!bytes) return difference;
  let id: unknown;
  try {
    ({ id } = JSON.parse(bytes.toString('utf8')) as { id: unknown });
  } catch {
    return difference;
  }
  if (typeof id !== 'string') return difference;
  const row = await indexOf(log.client, log.instance).findOne({ id });
  if (!row || row._id === difference.index || !bytes.equals(row.entry.buffer)) return difference;
  const { lastIndex: _range, ...rest } = difference;
  return { ...rest, kind: 'wrong-order', belongsAt: row._id };
};

/** Leaf hashes of a range from full tiles; undefined where one of them is not there. */
const leavesInTiles = async (
  { client, instance }: VerifiedLog,
  from: number,
  to: number,
): Promise<Buffer | undefined> => {
  const found: Uint8Array[] = [];
  for (let tile = Math.floor(from / tileWidth); tile * tileWidth < to; tile += 1) {
    const document = await tilesOf(client, instance).findOne({ _id: `0/${tile}` });
    if (!document || document.hashes.length() !== tileWidth * hashBytes) return undefined;
    const start = tile * tileWidth;
    found.push(
      document.hashes.buffer.subarray(
        Math.max(0, from - start) * hashBytes,
        Math.min(tileWidth, to - start) * hashBytes,
      ),
    );
  }
  return Buffer.concat(found);
};
