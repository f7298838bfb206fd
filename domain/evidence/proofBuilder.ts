/**
 * Inclusion proofs of many entries of one tree, from its tiles. A tile is read and hashed up once; what lies above it is
 * the same for all of its entries. Everything is checked against the root before it is handed out.
 */
import { foldPairInPlace, hashBytes } from '../tree/hash.ts';
import { inclusionProof, verifyInclusion, type SubtreeReader } from '../tree/proof.ts';
import { placeOfSubtree, tileWidth, widthInTree } from '../tree/tiles.ts';

export type ReadHashes = (level: number, index: number, width: number) => Promise<Uint8Array>;

export interface ProvenLeaf {
  /** Of the entry that stands there. */
  readonly leafHash: Buffer;
  /** Base64, from the leaf's sibling up. */
  readonly hashes: readonly string[];
}

export interface ProvenTree {
  readonly size: number;
  readonly root: Buffer;
  readonly readHashes: ReadHashes;
}

/** Tiles that are kept, the last used: a path through a tree of 2^40 leaves takes five. */
const tilesKept = 32;

/** Hashes of a tile, then of its full pairs, and so on up: `rows[k]` has one hash for each 2^k of the tile. */
type Rows = readonly Buffer[];

const hashUp = (tile: Uint8Array): Rows => {
  const rows = [Buffer.from(tile)];
  for (let below = rows[0]!; below.length >= 2 * hashBytes; below = rows.at(-1)!) {
    const pairs = Math.floor(below.length / (2 * hashBytes));
    const work = Buffer.from(below.subarray(0, pairs * 2 * hashBytes));
    for (let i = 0; i < pairs; i += 1) foldPairInPlace(work, 2 * i * hashBytes, i * hashBytes);
    rows.push(work.subarray(0, pairs * hashBytes));
  }
  return rows;
};

const hashAt = (row: Buffer, position: number): Buffer =>
  row.subarray(position * hashBytes, (position + 1) * hashBytes);
const base64 = (hash: Buffer): string => hash.toString('base64');

/** Levels of the tree inside a full tile. */
const levelsInTile = Math.log2(tileWidth);

export class ProofBuilder {
  /** Roots of full subtrees, for other proofs in the same tree. */
  readonly subtrees: SubtreeReader;
  readonly #tree: ProvenTree;
  readonly #kept = new Map<string, Promise<Rows>>();
  /** The leaf tile in use, and what lies above it; undefined above a tile that is not full. */
  #tile: { readonly index: number; readonly rows: Rows; readonly above: readonly string[] | undefined } | undefined;

  constructor(tree: ProvenTree) {
    this.#tree = tree;
    this.subtrees = async (level, index) => {
      const { tileLevel, tileIndex, offset, count } = placeOfSubtree(level, index);
      const row = (await this.#rows(tileLevel, tileIndex))[Math.log2(count)];
      const position = offset / count;
      if (row === undefined || row.length < (position + 1) * hashBytes)
        throw new RangeError(`the tree of ${tree.size} entries has no full subtree ${level}/${index}`);
      return hashAt(row, position);
    };
  }

  /** Undefined where the tiles do not lead from this leaf to the root. Rejects where a tile can't be read. */
  async prove(index: number): Promise<ProvenLeaf | undefined> {
    const tileIndex = Math.floor(index / tileWidth);
    const position = index % tileWidth;
    if (this.#tile?.index !== tileIndex) await this.#enter(tileIndex);
    const { rows, above } = this.#tile!;
    const leafHash = hashAt(rows[0]!, position);
    if (above) {
      const within = Array.from({ length: levelsInTile }, (_, level) =>
        base64(hashAt(rows[level]!, (position >> level) ^ 1)),
      );
      return { leafHash, hashes: [...within, ...above] };
    }
    const { size, root } = this.#tree;
    const proof = await inclusionProof(index, size, this.subtrees);
    return verifyInclusion({ leafHash, index, size, root, proof })
      ? { leafHash, hashes: proof.map(base64) }
      : undefined;
  }

  /**
   * One proof shows that a full tile's root is in the tree, and the tile's rows are hashed up from its leaves: so the
   * proofs of the others need no check.
   */
  async #enter(tileIndex: number): Promise<void> {
    const { size, root } = this.#tree;
    const rows = await this.#rows(0, tileIndex);
    const isFull = widthInTree(0, tileIndex, size) === tileWidth;
    let above: string[] | undefined;
    if (isFull) {
      const index = tileIndex * tileWidth;
      const proof = await inclusionProof(index, size, this.subtrees);
      if (verifyInclusion({ leafHash: hashAt(rows[0]!, 0), index, size, root, proof }))
        above = proof.slice(levelsInTile).map(base64);
    }
    this.#tile = { index: tileIndex, rows, above };
  }

  #rows(level: number, index: number): Promise<Rows> {
    const key = `${level}/${index}`;
    const known = this.#kept.get(key);
    // Taken out and put back: the map is in the order of last use.
    this.#kept.delete(key);
    const { size, readHashes } = this.#tree;
    const rows = known ?? readHashes(level, index, widthInTree(level, index, size)).then(hashUp);
    this.#kept.set(key, rows);
    if (this.#kept.size > tilesKept) this.#kept.delete(this.#kept.keys().next().value!);
    return rows;
  }
}
