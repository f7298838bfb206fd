/** Which names an archive may hold, told from its ranges: so that what somebody added stands out. */
import { parseTilePath, tileWidth } from '../../domain/tree/tiles.ts';
import { readManifest } from './head.ts';
import type { Manifest } from './manifest.ts';
import { checkpointName, latestCheckpointName, manifestName } from './names.ts';
import type { RangeEnd } from './ranges.ts';
import type { ArchiveStore } from './store.ts';

export class ExpectedNames {
  readonly #store: ArchiveStore;
  readonly #sizes: readonly number[];
  #manifest: { readonly size: number; readonly names: ReadonlySet<string> } | undefined;

  constructor(store: ArchiveStore, ends: readonly RangeEnd[]) {
    this.#store = store;
    this.#sizes = ends.map(({ size }) => size);
  }

  async has(name: string): Promise<boolean> {
    if (name === latestCheckpointName) return true;
    const tile = parseTilePath(name);
    if (tile) {
      // The sizes of a tree that has this tile, exactly so wide.
      const unit = tile.kind === 'entries' ? 1 : tileWidth ** tile.level;
      const least = (tile.index * tileWidth + tile.width) * unit;
      const reached = this.#firstFrom(least);
      if (reached === undefined) return false;
      return tile.width === tileWidth || reached < least + unit;
    }
    const match = /\/(\d{4})\/(\d{4})\/(\d{4})\/(\d{4})(?:\.json|\/|$)/.exec(name);
    const size = match ? Number(match.slice(1, 5).join('')) : Number.NaN;
    if (this.#firstFrom(size) !== size) return false;
    if (name === checkpointName(size) || name === manifestName(size)) return true;
    return (await this.#namesOf(size)).has(name);
  }

  #firstFrom(size: number): number | undefined {
    let low = 0;
    let high = this.#sizes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sizes[middle]! < size) low = middle + 1;
      else high = middle;
    }
    return this.#sizes[low];
  }

  async #namesOf(size: number): Promise<ReadonlySet<string>> {
    if (this.#manifest?.size !== size) {
      const found: Manifest | undefined = (await readManifest(this.#store, size))?.manifest;
      this.#manifest = { size, names: new Set(found?.objects.map(({ name }) => name)) };
    }
    return this.#manifest.names;
  }
}
