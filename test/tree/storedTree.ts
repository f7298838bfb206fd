/** A whole tree in memory, every full subtree of it: what proofs and tiles are read from in these tests. */
import { leafHashes, nodeHash, hashBytes } from '../../domain/tree/hash.ts';
import type { SubtreeId, SubtreeReader } from '../../domain/tree/proof.ts';
import type { HashTile } from '../../domain/tree/tiles.ts';

export class StoredTree {
  readonly #levels: Buffer[][];
  readonly asked: SubtreeId[] = [];

  constructor(entries: readonly Uint8Array[]) {
    const flat = leafHashes(entries);
    let row = Array.from({ length: entries.length }, (_, i) => flat.subarray(i * hashBytes, (i + 1) * hashBytes));
    this.#levels = [row];
    while (row.length > 1) {
      const below = row;
      row = Array.from({ length: Math.floor(below.length / 2) }, (_, i) => nodeHash(below[2 * i]!, below[2 * i + 1]!));
      this.#levels.push(row);
    }
  }

  readonly subtree: SubtreeReader = async (level, index) => {
    this.asked.push({ level, index });
    const hash = this.#levels[level]?.[index];
    if (!hash) throw new Error(`no full subtree ${level}/${index}`);
    return hash;
  };

  tile({ level, index, width }: HashTile): Buffer {
    return Buffer.concat(this.#levels[level * 8]!.slice(index * 256, index * 256 + width));
  }

  leaf(index: number): Buffer {
    return this.#levels[0]![index]!;
  }
}
