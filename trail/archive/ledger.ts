/** Writes objects of a range, a few at a time, and remembers them for its manifest. */
import { sha256Of, type ManifestObject } from './manifest.ts';
import type { ArchiveStore } from './store.ts';

const underWayMax = 6;

export class Ledger {
  readonly #store: ArchiveStore;
  readonly #written = new Map<string, ManifestObject>();
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(store: ArchiveStore) {
    this.#store = store;
  }

  /** Begins to write; waits only where too many writes are under way. Throws where an earlier one failed. */
  async put(name: string, bytes: Uint8Array): Promise<void> {
    const work = this.#write(name, bytes).finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
    if (this.#underWay.size >= underWayMax) await Promise.race(this.#underWay);
    this.#requireGood();
  }

  async #write(name: string, bytes: Uint8Array): Promise<void> {
    try {
      const stored = await this.#store.put(name, bytes);
      this.#written.set(name, { ...stored, sha256: sha256Of(bytes) });
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Once everything is kept. Throws where something is not. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#requireGood();
  }

  #requireGood(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** What was kept, by name. */
  written(): ManifestObject[] {
    return [...this.#written.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** Gathers documents into objects of a bounded size. */
export class Gathered {
  readonly #put: (number: number, bytes: Buffer) => Promise<void>;
  #documents: Uint8Array[] = [];
  #bytes = 0;
  #number = 0;

  constructor(put: (number: number, bytes: Buffer) => Promise<void>) {
    this.#put = put;
  }

  async add(document: Uint8Array): Promise<void> {
    this.#documents.push(document);
    this.#bytes += document.length;
    if (this.#bytes >= gatheredBytesMax) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#documents.length === 0) return;
    const bytes = Buffer.concat(this.#documents);
    const number = this.#number;
    this.#documents = [];
    this.#bytes = 0;
    this.#number += 1;
    await this.#put(number, bytes);
  }
}

/** From this size on, an object is written. */
const gatheredBytesMax = 4 * 1024 * 1024;
