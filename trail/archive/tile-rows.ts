/**
 * The unfinished tile of each level of a growing tree (c2sp.org/tlog-tiles): all that is needed to go on writing tiles, and
 * to know the root. A few hundred hashes at most a level, whatever the size of the log.
 */
import { appendSubtree, emptyEdge, type GrownTree } from '../../domain/tree/edge.ts';
import { emptyRoot, hashBytes, perfectRoot } from '../../domain/tree/hash.ts';
import { tileWidth, widthInTree, type HashTile } from '../../domain/tree/tiles.ts';

export interface WrittenTile {
  readonly tile: HashTile;
  readonly hashes: Buffer;
}

/** Levels that a tree of this size has a tile in. */
export const levelsOf = (size: number): number => {
  let levels = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / tileWidth)) levels += 1;
  return levels;
};

/** The unfinished tiles of a tree of this size, lowest level first; none where a row ends with a full tile. */
export function* unfinishedTiles(size: number): Generator<HashTile> {
  for (let level = 0; level < levelsOf(size); level += 1) {
    const index = Math.floor(size / tileWidth ** level / tileWidth);
    const width = widthInTree(level, index, size);
    if (width > 0) yield { kind: 'hashes', level, index, width };
  }
}

export class TileRows {
  #size: number;
  /** Hashes of the unfinished tile, by level. */
  readonly #rows: Buffer[][];

  constructor(size: number, rows: readonly (readonly Buffer[])[]) {
    this.#size = size;
    this.#rows = rows.map((row) => [...row]);
  }

  static empty(): TileRows {
    return new TileRows(0, []);
  }

  get size(): number {
    return this.#size;
  }

  copy(): TileRows {
    return new TileRows(this.#size, this.#rows);
  }

  /** Takes the next leaf hash; gives the tiles that it fills. */
  append(leaf: Uint8Array): WrittenTile[] {
    const filled: WrittenTile[] = [];
    let hash: Buffer = Buffer.from(leaf);
    this.#size += 1;
    for (let level = 0, count = this.#size; ; level += 1, count /= tileWidth) {
      const row = (this.#rows[level] ??= []);
      row.push(hash);
      if (row.length < tileWidth) return filled;
      const hashes = Buffer.concat(row);
      row.length = 0;
      filled.push({ tile: { kind: 'hashes', level, index: count / tileWidth - 1, width: tileWidth }, hashes });
      hash = perfectRoot(hashes);
    }
  }

  /** The tiles that are unfinished at this size. */
  unfinished(): WrittenTile[] {
    return [...unfinishedTiles(this.#size)].map((tile) => ({ tile, hashes: Buffer.concat(this.#rows[tile.level]!) }));
  }

  /** Root and right edge of the tree, from the largest subtrees to the smallest. */
  tree(): GrownTree {
    let grown: GrownTree = { edge: emptyEdge, size: 0, root: emptyRoot };
    for (let level = this.#rows.length - 1; level >= 0; level -= 1)
      for (const hash of this.#rows[level]!) grown = appendSubtree(grown.edge, grown.size, 8 * level, hash);
    return grown;
  }
}

/** A tile's bytes as its hashes. */
export const hashesOf = (bytes: Buffer): Buffer[] =>
  Array.from({ length: bytes.length / hashBytes }, (_, at) => bytes.subarray(at * hashBytes, (at + 1) * hashBytes));
