/**
 * One sampled entry: the stretch of the record that it stands in, from the last signed root before it to the first one
 * after it, and its way up the tree through the tiles as they are served.
 */
import { decodeEdge, rootOfEdge } from '../../domain/tree/edge.ts';
import { leafHash, hashBytes } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import { ProblemFound, type At } from '../../domain/verify/report.ts';
import { TileTree } from '../../domain/verify/tileTree.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { lookedAtNothing } from '../../domain/verification/looked.ts';
import { emptyStanding, type Standing } from '../../domain/verification/segment.ts';
import { mongoAnchor } from '../anchor.ts';
import { TrailError } from '../errors.ts';
import { segmentsOf } from '../segments.ts';
import { TileReader } from '../tile-reader.ts';
import { entryAt } from './record-entries.ts';
import { walkRecord, type Walked } from './record-walk.ts';
import { anchoredBefore, openAnchored } from './signed-roots.ts';
import type { VerifiedLog } from './verified-log.ts';

/** `size`: of the latest checkpoint. Returns how far the stretch went, so that it is not walked again for the next one. */
export const checkSampled = async (
  log: VerifiedLog,
  { index, size, signal }: { index: number; size: number; signal?: AbortSignal },
): Promise<Walked> => {
  const standing = await signedStanding(log, index);
  const walked = await walkRecord(log, {
    standing: standing.standing,
    to: await signedAfter(log, index, size),
    entriesMax: Infinity,
    ...(signal && { signal }),
  });
  return { ...walked, differences: [...standing.differences, ...walked.differences] };
};

/** The tiles up from each of these leaves, as they are served, beside the latest checkpoint. */
export const checkServedTiles = async (
  log: VerifiedLog,
  { indexes, size }: { indexes: readonly number[]; size: number },
): Promise<Pick<Walked, 'looked' | 'differences'>> => {
  const latest = await mongoAnchor(log.client).latest(log.origin);
  const root = latest && openAnchored(log, latest);
  if (!root || 'kind' in root) return { looked: lookedAtNothing, differences: root ? [root] : [] };
  const tiles = new TileReader(log.instance, log.client);
  const tree = new TileTree(({ level, index, width }) => tiles.hashes(level, index, width), root.size);
  const differences: Difference[] = [];
  const checked = new Set<number>();
  const differs = (kind: Difference['kind'], at: At, place: string) =>
    differences.push({ kind, store: 'tiles', ...at, place });
  const all: At = { index: 0, lastIndex: root.size - 1 };
  const looking = async (at: At, look: () => Promise<void>): Promise<void> => {
    try {
      await look();
    } catch (error) {
      if (error instanceof TrailError && error.code === 'LOG_INCONSISTENT') {
        differs('missing-entries', at, 'tiles');
      } else if (error instanceof ProblemFound) {
        const { problem } = error;
        differs(problem.kind, 'index' in problem ? atOf(problem) : at, 'path' in problem ? problem.path : 'tiles');
      } else {
        throw error;
      }
    }
  };
  await looking(all, async () => {
    if (!(await tree.givesRoot({ origin: log.origin, size: root.size, root: Buffer.from(root.root) })))
      differs('root-mismatch', all, 'tiles');
  });
  for (const index of differences.length > 0 ? [] : indexes) {
    const tile = Math.floor(index / tileWidth);
    if (index >= Math.min(size, root.size) || checked.has(tile)) continue;
    checked.add(tile);
    await looking({ index: tile * tileWidth }, async () => {
      const { bytes, parentSays, path } = await tree.leafTile(tile);
      const entry = await entryAt(log, index);
      const at = (index % tileWidth) * hashBytes;
      if (parentSays) differs('tile-altered', { index: tile * tileWidth, lastIndex: (tile + 1) * tileWidth - 1 }, path);
      else if (entry && !leafHash(entry).equals(bytes.subarray(at, at + hashBytes)))
        differs('tile-altered', { index }, path);
    });
  }
  return { looked: { ...lookedAtNothing, tiles: checked.size }, differences };
};

const atOf = ({ index, lastIndex }: At): At => ({ index, ...(lastIndex !== undefined && { lastIndex }) });

/** The standing before an entry that hangs from a signature: the right edge of the last signed segment before it. */
export const signedStanding = async (
  log: VerifiedLog,
  index: number,
): Promise<{ standing: Standing; differences: readonly Difference[] }> => {
  const anchored = await anchoredBefore(log, index);
  if (!anchored) return { standing: emptyStanding, differences: [] };
  const root = openAnchored(log, anchored);
  if ('kind' in root) return { standing: emptyStanding, differences: [root] };
  const segment = await segmentsOf(log.client, log.instance).findOne(
    { _id: root.segment },
    { projection: { entries: 0 } },
  );
  const blind: Standing = { size: root.size, edge: undefined, control: undefined };
  const place = `segments/${root.segment}`;
  if (!segment || segment._id + segment.n !== root.size) {
    const range = { index: root.segment, lastIndex: root.size - 1 };
    return { standing: blind, differences: [{ kind: 'missing-entries', store: 'record', ...range, place }] };
  }
  try {
    const edge = decodeEdge(segment.edge.buffer, root.size);
    if (rootOfEdge(edge, root.size).equals(root.root))
      return { standing: { size: root.size, edge, control: segment.control }, differences: [] };
  } catch {
    // Not the form of an edge.
  }
  const range = { index: root.segment, lastIndex: root.size - 1 };
  return { standing: blind, differences: [{ kind: 'edge-altered', store: 'record', ...range, place }] };
};

const signedAfter = async (log: VerifiedLog, index: number, size: number): Promise<number> =>
  (await mongoAnchor(log.client).from(log.origin, index + 1, 1))[0]?.size ?? size;
