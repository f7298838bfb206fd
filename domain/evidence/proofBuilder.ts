/**
 * Roots of full subtrees for many inclusion proofs in one tree, from tiles. A tile is read once and hashed up once, so
 * that a proof costs its reads and nothing more: proofs of neighbours, asked for one by one, would hash each tile anew.
 */
import { foldPairInPlace, hashBytes } from '../tree/hash.ts';
import type { SubtreeReader } from '../tree/proof.ts';
import { placeOfSubtree, widthInTree } from '../tree/tiles.ts';

/** Tiles that are kept, the last used: a path through a tree of 2^40 leaves takes five. */
const tilesKept = 32;

export type ReadHashes = (level: number, index: number, width: number) => Promise<Uint8Array>;

/** Hashes of a tile, then of its full pairs, and so on up: `rows[k]` has one hash for each 2^k of the tile. */
const hashUp = (tile: Uint8Array): Buffer[] => {
  const rows = [Buffer.from(tile)];
  for (let below = rows[0]!; below.length >= 2 * hashBytes; below = rows.at(-1)!) {
    const pairs = Math.floor(below.length / (2 * hashBytes));
    const work = Buffer.from(below.subarray(0, pairs * 2 * hashBytes));
    for (let i = 0; i < pairs; i += 1) foldPairInPlace(work, 2 * i * hashBytes, i * hashBytes);
    rows.push(work.subarray(0, pairs * hashBytes));
  }
  return rows;
};

/** For `inclusionProof` in a tree of `size` leaves. Rejects where a tile can't be read. */
export const subtreesFromTiles = (size: number, readHashes: ReadHashes): SubtreeReader => {
  const kept = new Map<string, Promise<Buffer[]>>();
  const rowsOf = (level: number, index: number): Promise<Buffer[]> => {
    const key = `${level}/${index}`;
    const known = kept.get(key);
    // Taken out and put back: the map is in the order of last use.
    kept.delete(key);
    const rows = known ?? readHashes(level, index, widthInTree(level, index, size)).then(hashUp);
    kept.set(key, rows);
    if (kept.size > tilesKept) kept.delete(kept.keys().next().value!);
    return rows;
  };
  return async (level, index) => {
    const { tileLevel, tileIndex, offset, count } = placeOfSubtree(level, index);
    const row = (await rowsOf(tileLevel, tileIndex))[Math.log2(count)];
    const at = (offset / count) * hashBytes;
    if (row === undefined || row.length < at + hashBytes)
      throw new RangeError(`the tree of ${size} entries has no full subtree ${level}/${index}`);
    return row.subarray(at, at + hashBytes);
  };
};
