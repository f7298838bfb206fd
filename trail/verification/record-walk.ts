/**
 * Walks along the record, from a segment whose beginning is known, and looks at everything that belongs to each one: its
 * own fields, the checkpoints that were signed over it, its boxes, its rows of the index, the tiles of its leaves.
 */
import type { Looked } from '../../domain/verification/contract.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { added, lookedAtNothing } from '../../domain/verification/looked.ts';
import type { Standing } from '../../domain/verification/segment.ts';
import type { SegmentDocument } from '../segments.ts';
import { checkBoxes } from './boxes-check.ts';
import { judgedSegments, type JudgedSegment } from './judged-segments.ts';
import { LeafTiles } from './leaf-tiles.ts';
import { checkRows, indexedTo } from './rows-check.ts';
import type { AnchoredRoots } from './signed-roots.ts';
import { faultOfTile, tiledTo } from './tiles-check.ts';
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

/** From the standing on, up to `to` or as far as `entriesMax` allows. The standing moves on whatever is found. */
export const walkRecord = async (log: VerifiedLog, options: WalkOptions): Promise<Walked> => {
  const { to, entriesMax, signal } = options;
  const differences: Difference[] = [];
  let { standing } = options;
  let looked = lookedAtNothing;
  // What the tails have not dealt with may be missing.
  const held = { indexed: await indexedTo(log), tiled: await tiledTo(log) };
  const tiles = await LeafTiles.at(log, standing.size);
  for await (const found of judgedSegments(log, { standing, to, ...(signal && { signal }) })) {
    const begins = found.kind === 'segment' && found.segment._id >= standing.size;
    // One more is read than is looked at: strays stand inside the range of the last one.
    if (looked.entries >= entriesMax && begins) return { standing, looked, differences };
    ({ standing } = found);
    if (found.kind === 'odd') {
      differences.push(found.difference);
      continue;
    }
    const seen = await lookAt(log, found, held, tiles);
    differences.push(...seen.differences);
    looked = added(looked, seen.looked);
  }
  return { standing, looked, differences };
};

interface Held {
  readonly indexed: number;
  readonly tiled: number;
}

const lookAt = async (
  log: VerifiedLog,
  { segment, judgement, anchored, rows }: JudgedSegment,
  held: Held,
  tiles: LeafTiles,
): Promise<Pick<Walked, 'looked' | 'differences'>> => {
  const range = { from: segment._id, to: segment._id + segment.n };
  const boxes = await checkBoxes(log, segment, judgement.entries);
  const rowDifferences = await checkRows(log, range, {
    entries: judgement.entries,
    segment: segment._id,
    rows,
    // While the index is being made again, its rows say nothing.
    indexed: Math.min(held.indexed, await indexedTo(log)),
  });
  const tileDifferences: Difference[] = [];
  let tileCount = 0;
  for (const { index, hashes } of tiles.add(range.from, segment.n, judgement.leaves)) {
    tileCount += 1;
    const fault = await faultOfTile(log, { level: 0, index }, hashes, held.tiled);
    if (fault) tileDifferences.push(fault);
  }
  return {
    looked: {
      ...lookedAtNothing,
      entries: segment.n,
      segments: 1,
      boxes: boxes.boxes,
      opened: boxes.opened,
      rows: rows.length,
      checkpoints: anchored.roots.length,
      tiles: tileCount,
    },
    differences: [
      ...judgement.differences,
      ...anchored.differences,
      ...wrongSegments(anchored, segment),
      ...boxes.differences,
      ...rowDifferences,
      ...tileDifferences,
    ],
  };
};

/** Anchored checkpoints that name another segment as the one that they end with: a writer would look there. */
const wrongSegments = ({ roots }: AnchoredRoots, segment: SegmentDocument): Difference[] =>
  roots
    .filter((root) => root.size === segment._id + segment.n && root.segment !== segment._id)
    .map(({ size }) => ({ kind: 'malformed-checkpoint', store: 'anchors', index: size - 1, place: `anchors/${size}` }));
