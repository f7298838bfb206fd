/**
 * The tiles of a log, held against its checkpoint. The tiles at the right edge must give the root; every other tile is
 * full, and must hash to what its parent says of it, up to the right edge. Memory: one tile a level.
 */
import type { Checkpoint } from '../tree/checkpoint.ts';
import { rootOfEdge } from '../tree/edge.ts';
import { hashBytes, perfectRoot } from '../tree/hash.ts';
import { subtreesForRoot } from '../tree/proof.ts';
import { placeOfSubtree, subtreeInTile, tilePath, tileWidth, widthInTree, type HashTile } from '../tree/tiles.ts';
import { ProblemFound, type At } from './report.ts';

/** Bytes of a tile, 32 for each hash; undefined if the log does not have it. */
export type TileReader = (tile: HashTile) => Promise<Uint8Array | undefined>;

/** The leaf hashes of a whole tile as they were computed from its entries, and their root. */
export interface ComputedTile {
  readonly leaves: Uint8Array;
  readonly root: Uint8Array;
}

/** A tile of level 0, and whether it can be relied on. */
export interface LeafTile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Root of the tile as its parent has it, where the tile contradicts a parent that can be relied on. */
  readonly parentSays?: Buffer;
}

/** Leaves below the hashes `from` to `to` (not included) of a tile. */
const leavesBelow = ({ level, index }: HashTile, from: number, to: number): Required<At> => {
  const leaves = tileWidth ** level;
  const first = index * tileWidth;
  return { index: (first + from) * leaves, lastIndex: (first + to) * leaves - 1 };
};

const allLeaves = (tile: HashTile): Required<At> => leavesBelow(tile, 0, tile.width);

const hashAt = (bytes: Uint8Array, i: number): Uint8Array => bytes.subarray(i * hashBytes, (i + 1) * hashBytes);

export class TileTree {
  readonly #read: TileReader;
  readonly #size: number;
  /** Last tile of each level that was found authentic. */
  readonly #authentic = new Map<number, { index: number; bytes: Uint8Array }>();

  constructor(read: TileReader, size: number) {
    this.#read = read;
    this.#size = size;
  }

  /** True if the tiles at the right edge give the checkpoint's root. */
  async givesRoot({ size, root }: Checkpoint): Promise<boolean> {
    const edge: Buffer[] = [];
    for (const { level, index } of subtreesForRoot(size)) {
      const place = placeOfSubtree(level, index);
      edge.push(subtreeInTile(await this.#edgeTile(place.tileLevel, place.tileIndex), place));
    }
    return rootOfEdge(edge, size).equals(root);
  }

  async #edgeTile(level: number, index: number): Promise<Uint8Array> {
    const cached = this.#authentic.get(level);
    if (cached?.index === index) return cached.bytes;
    const bytes = await this.#fetch(this.#tile(level, index));
    this.#authentic.set(level, { index, bytes });
    return bytes;
  }

  /** The tile without a check: for when the right edge already contradicts the checkpoint. */
  async unchecked(index: number): Promise<LeafTile> {
    const tile = this.#tile(0, index);
    return { path: tilePath(tile), bytes: await this.#fetch(tile) };
  }

  /**
   * A tile of level 0. Throws ProblemFound if a tile above it does not hold; its own fault comes back in the answer. With
   * `computed`, the root of a tile that has the same hashes is not computed again.
   */
  async leafTile(index: number, computed?: ComputedTile): Promise<LeafTile> {
    const tile = this.#tile(0, index);
    const bytes = await this.#fetch(tile);
    const known = computed && Buffer.compare(bytes, computed.leaves) === 0 ? computed.root : undefined;
    const parentSays = await this.#contradiction(tile, bytes, known);
    return { path: tilePath(tile), bytes, ...(parentSays && { parentSays }) };
  }

  /** What the parent says of a full tile, if that is something else. Partial tiles are covered by the root itself. */
  async #contradiction(tile: HashTile, bytes: Uint8Array, root?: Uint8Array): Promise<Buffer | undefined> {
    if (tile.width < tileWidth) return undefined;
    const parent = await this.#authenticTile(tile.level + 1, Math.floor(tile.index / tileWidth));
    const said = Buffer.from(hashAt(parent, tile.index % tileWidth));
    return said.equals(root ?? perfectRoot(bytes)) ? undefined : said;
  }

  async #authenticTile(level: number, index: number): Promise<Uint8Array> {
    const cached = this.#authentic.get(level);
    if (cached?.index === index) return cached.bytes;
    const tile = this.#tile(level, index);
    const bytes = await this.#fetch(tile);
    if (await this.#contradiction(tile, bytes)) {
      const at = (await this.#disagreement(tile, bytes)) ?? allLeaves(tile);
      throw new ProblemFound({ kind: 'tile-altered', path: tilePath(tile), ...at });
    }
    this.#authentic.set(level, { index, bytes });
    return bytes;
  }

  /** Leaves below the first hash of a tile (level 1 or above) that is not the root of the tile below it. */
  async #disagreement(tile: HashTile, bytes: Uint8Array): Promise<Required<At> | undefined> {
    for (let i = 0; i < tile.width; i += 1) {
      const below = await this.#fetch(this.#tile(tile.level - 1, tile.index * tileWidth + i));
      if (!perfectRoot(below).equals(hashAt(bytes, i))) return leavesBelow(tile, i, i + 1);
    }
    return undefined;
  }

  /** For when the right edge does not give the root: the tile of it, above level 0, that contradicts those below it. */
  async alteredEdgeTile(): Promise<(Required<At> & { readonly path: string }) | undefined> {
    let top = 0;
    while (this.#size >= tileWidth ** (top + 1)) top += 1;
    for (let level = top; level > 0; level -= 1) {
      const tile = this.#tile(level, Math.floor(this.#size / tileWidth ** (level + 1)));
      const at = await this.#disagreement(tile, await this.#fetch(tile));
      if (at) return { ...at, path: tilePath(tile) };
    }
    return undefined;
  }

  #tile(level: number, index: number): HashTile {
    return { kind: 'hashes', level, index, width: widthInTree(level, index, this.#size) };
  }

  /** Where a partial tile is gone, the beginning of the full one does as well. */
  async #fetch(tile: HashTile): Promise<Uint8Array> {
    const sizeBytes = tile.width * hashBytes;
    let bytes = await this.#read(tile);
    if (!bytes && tile.width < tileWidth)
      bytes = (await this.#read({ ...tile, width: tileWidth }))?.subarray(0, sizeBytes);
    const path = tilePath(tile);
    if (!bytes) throw new ProblemFound({ kind: 'tile-missing', path, ...allLeaves(tile) });
    if (bytes.length !== sizeBytes) {
      const reason = `${bytes.length} bytes where ${tile.width} hashes take ${sizeBytes}`;
      throw new ProblemFound({ kind: 'tile-malformed', path, reason, ...allLeaves(tile) });
    }
    return bytes;
  }
}
