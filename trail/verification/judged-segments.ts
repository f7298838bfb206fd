/**
 * The segments of the record in order, each judged beside the other copies of the same entries: what every check and every
 * repair goes along. Goes on behind whatever is wrong.
 */
import { readBundle } from '../../domain/tree/bundle.ts';
import { hashBytes } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { judgeSegment, type Judgement, type Standing } from '../../domain/verification/segment.ts';
import type { Document } from 'mongodb';
import { indexOf } from '../projection.ts';
import { segmentFormat, segmentsOf, type SegmentDocument } from '../segments.ts';
import { tilesOf } from '../tile-reader.ts';
import { leavesInIndex, storedRows } from './rows-check.ts';
import { anchoredRoots, type AnchoredRoots } from './signed-roots.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface JudgedSegment {
  readonly kind: 'segment';
  readonly segment: SegmentDocument;
  readonly judgement: Judgement;
  readonly anchored: AnchoredRoots;
  /** Rows of the index in the segment's range. */
  readonly rows: readonly Document[];
  readonly standing: Standing;
}

export interface OddSegment {
  readonly kind: 'odd';
  readonly difference: Difference;
  readonly standing: Standing;
}

const segmentsPerCall = 4;

/** From the standing on, up to `to`. */
export async function* judgedSegments(
  log: VerifiedLog,
  { standing: from, to, signal }: { standing: Standing; to: number; signal?: AbortSignal },
): AsyncGenerator<JudgedSegment | OddSegment> {
  let standing = from;
  const odd = (difference: Difference): OddSegment => ({ kind: 'odd', difference, standing });
  const segments = segmentsOf(log.client, log.instance)
    .find({ _id: { $gte: from.size, $lt: to } })
    .sort({ _id: 1 })
    .batchSize(segmentsPerCall);
  for await (const segment of segments) {
    signal?.throwIfAborted();
    const { _id } = segment;
    const place = `segments/${_id}`;
    if (_id < standing.size || !Number.isSafeInteger(_id)) {
      yield odd({ kind: 'stray-segment', store: 'record', place });
      continue;
    }
    const missingTo = _id;
    if (missingTo > standing.size) {
      const difference = missing(standing.size, missingTo);
      standing = { size: missingTo, edge: undefined, control: undefined };
      yield odd(difference);
    }
    if (!isSegment(segment)) {
      yield odd({ kind: 'malformed-segment', store: 'record', index: _id, place });
      continue;
    }
    const judged = await judge(log, standing, segment);
    ({ standing } = judged);
    yield judged;
  }
  if (standing.size < to) {
    const difference = missing(standing.size, to);
    standing = { size: to, edge: undefined, control: undefined };
    yield odd(difference);
  }
}

const missing = (from: number, to: number): Difference => ({
  kind: 'missing-entries',
  store: 'record',
  index: from,
  lastIndex: to - 1,
  place: `segments/${from}`,
});

const isBinary = (value: unknown): boolean => value instanceof Object && 'buffer' in value;

const isSegment = ({ v, n, entries, leaves, root, edge, control, boxes }: SegmentDocument): boolean =>
  v === segmentFormat &&
  Number.isSafeInteger(n) &&
  n > 0 &&
  [entries, leaves, root, edge].every(isBinary) &&
  Number.isSafeInteger(control) &&
  Array.isArray(boxes);

const judge = async (log: VerifiedLog, before: Standing, segment: SegmentDocument): Promise<JudgedSegment> => {
  const range = { from: segment._id, to: segment._id + segment.n };
  const [rows, anchored] = await Promise.all([storedRows(log, range), anchoredRoots(log, range.from, range.to)]);
  const stored = {
    first: segment._id,
    count: segment.n,
    entries: segment.entries.buffer,
    leaves: segment.leaves.buffer,
    root: segment.root.buffer,
    edge: segment.edge.buffer,
    control: segment.control,
  };
  const beside = (otherLeaves: readonly Uint8Array[]): Judgement =>
    judgeSegment(before, stored, { signed: anchored.roots, otherLeaves, instance: log.instance });
  const inIndex = leavesInIndex(rows, range);
  let judgement = beside(inIndex ? [inIndex] : []);
  if (judgement.leaves === undefined && before.edge) {
    const inTiles = await leavesInTiles(log, range.from, range.to);
    if (inTiles) judgement = beside([inTiles]);
  }
  const differences = await Promise.all(judgement.differences.map((one) => placed(log, segment, one)));
  const named = { ...judgement, differences };
  return { kind: 'segment', segment, judgement: named, anchored, rows, standing: judgement.after };
};

/** Where an altered entry really belongs, if the index knows its bytes from elsewhere. */
const placed = async (log: VerifiedLog, segment: SegmentDocument, difference: Difference): Promise<Difference> => {
  const { kind, index } = difference;
  if (kind !== 'entry-altered' || index === undefined) return difference;
  const bytes = readBundle(segment.entries.buffer).entries[index - segment._id];
  const id = bytes && idOf(bytes);
  if (!bytes || id === undefined) return difference;
  const row = await indexOf(log.client, log.instance).findOne({ id });
  if (!row || row._id === index || !bytes.equals(row.entry.buffer)) return difference;
  const { lastIndex: _range, ...rest } = difference;
  return { ...rest, kind: 'wrong-order', belongsAt: row._id };
};

const idOf = (bytes: Buffer): string | undefined => {
  try {
    const { id } = JSON.parse(bytes.toString('utf8')) as { id: unknown };
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
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
    const [first, last] = [Math.max(0, from - start), Math.min(tileWidth, to - start)];
    found.push(document.hashes.buffer.subarray(first * hashBytes, last * hashBytes));
  }
  return Buffer.concat(found);
};
