/**
 * Whether entries that an answer rests on are those that were logged: the index's bytes and the record's bytes of each
 * hash to its leaf in the tree of the latest checkpoint, whose signature holds, and which continues the checkpoint that
 * was anchored when the last of them was written.
 */
import type { Integrity } from '../../domain/diagnosis/evidence.ts';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { hashBytes, leafHash } from '../../domain/tree/hash.ts';
import { consistencyProof, verifyConsistency } from '../../domain/tree/proof.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import { ProblemFound, describeProblem } from '../../domain/verify/report.ts';
import { TileTree } from '../../domain/verify/tileTree.ts';
import { TrailError } from '../../trail/errors.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import type { Trail } from '../../trail/trail.ts';

/** Throws only where the log can't be read now; whatever does not hold is in the answer. */
export const checkIntegrity = async (trail: Trail, events: readonly IndexedEvent[]): Promise<Integrity> => {
  try {
    return await check(trail, events);
  } catch (error) {
    if (error instanceof ProblemFound)
      return { state: 'altered', detail: describeProblem(error.problem), ...firstIndex(error.problem) };
    if (error instanceof TreeError) return { state: 'altered', detail: error.message };
    if (error instanceof TrailError && error.code === 'LOG_INCONSISTENT')
      return { state: 'altered', detail: error.message };
    throw error;
  }
};

const firstIndex = (problem: object): { firstBadIndex?: number } =>
  'index' in problem && typeof problem.index === 'number' ? { firstBadIndex: problem.index } : {};

const check = async (trail: Trail, events: readonly IndexedEvent[]): Promise<Integrity> => {
  const { reader, origin } = trail;
  const anchored = await reader.checkpoint();
  if (!anchored) return { state: 'unverified', detail: 'no checkpoint was signed yet' };
  const keys = await trail.signing.keys();
  const checkpoint = openCheckpoint(Buffer.from(anchored.note), keys, origin);
  const { size } = checkpoint;
  const sorted = events.toSorted((a, b) => a.index - b.index);
  const last = sorted.at(-1);
  if (last && last.index >= size)
    return { state: 'unverified', detail: `the latest checkpoint covers ${size} entries, not entry ${last.index}` };

  const tree = new TileTree(({ level, index, width }) => reader.tiles.hashes(level, index, width), size);
  if (!(await tree.givesRoot(checkpoint)))
    return { state: 'altered', detail: 'the tiles do not give the root of the latest checkpoint' };
  for (const [tile, own] of Map.groupBy(sorted, ({ index }) => Math.floor(index / tileWidth))) {
    const bad = await firstAltered(trail, tree, tile, own);
    if (bad !== undefined)
      return { state: 'altered', detail: `entry ${bad} is not what was logged`, firstBadIndex: bad };
  }

  const older = last && (await reader.checkpointCovering(last.index + 1));
  if (older && older.size < size) {
    const { root: oldRoot } = openCheckpoint(Buffer.from(older.note), keys, origin);
    const proof = await consistencyProof(older.size, size, reader.tiles.subtrees());
    const claim = { oldSize: older.size, oldRoot, newSize: size, newRoot: checkpoint.root, proof };
    if (!verifyConsistency(claim))
      return { state: 'altered', detail: `the log does not continue the checkpoint anchored at size ${older.size}` };
  }
  return { state: 'intact', size };
};

const firstAltered = async (
  { reader }: Trail,
  tree: TileTree,
  tile: number,
  events: readonly IndexedEvent[],
): Promise<number | undefined> => {
  const { bytes: leaves, parentSays } = await tree.leafTile(tile);
  const first = events[0]!.index;
  if (parentSays) return first;
  const recorded = await reader.tiles.entries(first, events.at(-1)!.index - first + 1);
  const bad = events.find(({ index, bytes }) => {
    const at = (index % tileWidth) * hashBytes;
    const leaf = leaves.subarray(at, at + hashBytes);
    const holds = (entry: Uint8Array) => leafHash(entry).equals(leaf);
    return !holds(bytes) || !holds(recorded[index - first]!);
  });
  return bad?.index;
};
