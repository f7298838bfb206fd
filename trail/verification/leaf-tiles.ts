/** Gathers the leaf hashes of what was logged into full tiles, as a walk along the record comes past them. */
import { hashBytes } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import { recordedLeaves } from './record-entries.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface LeafTile {
  readonly index: number;
  readonly hashes: Buffer;
}

export class LeafTiles {
  readonly #hashes = Buffer.alloc(tileWidth * hashBytes);
  /** Next leaf; what was gathered begins with the tile that it is in. */
  #next: number;
  /** False where a leaf of the tile is not known. */
  #whole: boolean;

  private constructor(next: number, begun: Uint8Array | undefined) {
    this.#next = next;
    this.#whole = begun !== undefined;
    if (begun) this.#hashes.set(begun);
  }

  /** For a walk that goes on at `size`: the leaves of the tile before it were looked at then. */
  static async at(log: VerifiedLog, size: number): Promise<LeafTiles> {
    const start = size - (size % tileWidth);
    return new LeafTiles(size, start === size ? Buffer.alloc(0) : await recordedLeaves(log, start, size));
  }

  /** The tiles that the leaves of the entries from `first` on complete; `leaves` is undefined where they are not known. */
  *add(first: number, count: number, leaves: Uint8Array | undefined): Generator<LeafTile> {
    if (first !== this.#next) this.#lose(first);
    for (let done = 0; done < count;) {
      const offset = this.#next % tileWidth;
      const taken = Math.min(tileWidth - offset, count - done);
      if (offset === 0) this.#whole = true;
      if (leaves) this.#hashes.set(leaves.subarray(done * hashBytes, (done + taken) * hashBytes), offset * hashBytes);
      else this.#whole = false;
      done += taken;
      this.#next += taken;
      if (this.#next % tileWidth === 0 && this.#whole)
        yield { index: this.#next / tileWidth - 1, hashes: Buffer.from(this.#hashes) };
    }
  }

  /** What is between is not known. */
  #lose(next: number): void {
    this.#next = next;
    this.#whole = false;
  }
}
