/**
 * The leaves of one tile of level 0: their hashes as computed from the entries, beside their hashes as recorded. It fills
 * from left to right, is judged when it is full or the log ends, and is then used for the next tile.
 */
import { hashBytes, perfectRoot } from '../tree/hash.ts';
import { tileWidth } from '../tree/tiles.ts';
import { ProblemFound, type At } from './report.ts';
import type { LeafTile } from './tileTree.ts';

export class LeafWindow {
  readonly #computed = Buffer.alloc(tileWidth * hashBytes);
  readonly #recorded = Buffer.alloc(tileWidth * hashBytes);
  #tile: LeafTile | undefined;
  #tileHolds = false;
  #firstIndex = 0;
  #filled = 0;
  #recordedCount = 0;
  #firstDifference: number | undefined;

  /** Begins at `firstIndex`. `tileHolds` says that the tile (if any) agrees with the checkpoint. */
  begin(firstIndex: number, tile: LeafTile | undefined, tileHolds: boolean): void {
    this.#firstIndex = firstIndex;
    this.#tile = tile;
    this.#tileHolds = tileHolds;
    this.#filled = 0;
    this.#recordedCount = 0;
    this.#firstDifference = undefined;
    if (tile) this.#recorded.set(tile.bytes);
  }

  /** Hashes of the entries so far. A view: it changes with the next window. */
  get computed(): Buffer {
    return this.#computed.subarray(0, this.#filled * hashBytes);
  }

  /** The recorded hashes of the same entries; undefined where not all of them have one. */
  get recorded(): Buffer | undefined {
    if (!this.#tile && this.#recordedCount < this.#filled) return undefined;
    return this.#recorded.subarray(0, this.#filled * hashBytes);
  }

  /** Index of the first entry whose hash is not the recorded one. */
  get firstDifference(): number | undefined {
    return this.#firstDifference;
  }

  /**
   * Adds the next entry by its leaf hash, the one at `place` of `leaves`, with the leaf hash kept beside it where there is
   * one and no tile. False: the hash is not the one that is in the tree for certain.
   */
  add(leaves: Uint8Array, place: number, besideIt: Uint8Array | undefined): boolean {
    const at = this.#filled * hashBytes;
    const from = place * hashBytes;
    for (let i = 0; i < hashBytes; i += 1) this.#computed[at + i] = leaves[from + i]!;
    if (!this.#tile && besideIt) {
      this.#recorded.set(besideIt, at);
      this.#recordedCount += 1;
    }
    this.#filled += 1;
    if (!this.#tile && !besideIt) return true;
    if (this.#recorded.compare(this.#computed, at, at + hashBytes, at, at + hashBytes) === 0) return true;
    this.#firstDifference ??= this.#firstIndex + this.#filled - 1;
    return !this.#tileHolds;
  }

  /** Index in this tile at which the entry added last was recorded; undefined if it is not in it. */
  placeOfLast(): number | undefined {
    const at = (this.#filled - 1) * hashBytes;
    const hash = this.#computed.subarray(at, at + hashBytes);
    const width = this.#tile ? this.#tile.bytes.length / hashBytes : 0;
    for (let i = 0; i < width; i += 1) {
      if (hash.equals(this.#recorded.subarray(i * hashBytes, (i + 1) * hashBytes))) return this.#firstIndex + i;
    }
    return undefined;
  }

  /** Judges a whole tile that contradicts its parent: throws what is wrong, the tile or the entries. */
  judge(): void {
    if (!this.#tile?.parentSays) return;
    const all: At = { index: this.#firstIndex, lastIndex: this.#firstIndex + tileWidth - 1 };
    if (!perfectRoot(this.#computed).equals(this.#tile.parentSays)) {
      // Neither gives what the tree has: the entries were altered, and the tile with them, or besides.
      throw new ProblemFound({ kind: 'entry-altered', ...all });
    }
    const index = this.#firstDifference ?? this.#firstIndex;
    throw new ProblemFound({ kind: 'tile-altered', path: this.#tile.path, index });
  }
}
