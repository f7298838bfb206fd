/** The tree grown from its entries, and the older checkpoints that it must pass through on its way. */
import type { Checkpoint } from '../tree/checkpoint.ts';
import { appendLeaves, appendSubtree, emptyEdge, rootOfEdge, type Edge } from '../tree/edge.ts';
import { hashBytes, perfectRoot } from '../tree/hash.ts';
import { tileWidth } from '../tree/tiles.ts';

const tileLevel = Math.log2(tileWidth);

export class Fold {
  #edge: Edge = emptyEdge;
  #size = 0;
  /** Ascending by size; those already passed are gone. */
  #older: readonly Checkpoint[];
  #forkedFrom: Checkpoint | undefined;

  constructor(older: readonly Checkpoint[] = []) {
    this.#older = older.toSorted((a, b) => a.size - b.size);
    this.#passOlder();
  }

  /** The first older checkpoint that the tree, at its size, did not have the root of. */
  get forkedFrom(): Checkpoint | undefined {
    return this.#forkedFrom;
  }

  get root(): Buffer {
    return rootOfEdge(this.#edge, this.#size);
  }

  /** A fold that stands where this one does, and from there goes its own way, without regard to older checkpoints. */
  branch(): Fold {
    const other = new Fold();
    other.#edge = this.#edge;
    other.#size = this.#size;
    return other;
  }

  /**
   * Appends the next leaf hashes, at most a tile of them; the tree must have grown by whole tiles so far. `root`: that of
   * the tile, where it is whole and known.
   */
  appendTile(leaves: Uint8Array, root?: Uint8Array): void {
    const end = this.#size + leaves.length / hashBytes;
    let rest = leaves;
    for (let next = this.#older[0]; next && next.size < end; next = this.#older[0]) {
      const count = next.size - this.#size;
      this.#append(rest.subarray(0, count * hashBytes));
      rest = rest.subarray(count * hashBytes);
      this.#passOlder();
    }
    this.#append(rest, root);
    this.#passOlder();
  }

  #append(leaves: Uint8Array, root?: Uint8Array): void {
    if (leaves.length === 0) return;
    const grown =
      leaves.length === tileWidth * hashBytes
        ? appendSubtree(this.#edge, this.#size, tileLevel, root ?? perfectRoot(leaves))
        : appendLeaves(this.#edge, this.#size, leaves);
    this.#edge = grown.edge;
    this.#size = grown.size;
  }

  #passOlder(): void {
    for (let next = this.#older[0]; next?.size === this.#size; next = this.#older[0]) {
      if (!this.root.equals(next.root)) this.#forkedFrom ??= next;
      this.#older = this.#older.slice(1);
    }
  }
}
