/**
 * The event ids seen so far, with the index each came at. An open-addressing table of whole ids in typed arrays: 24 bytes
 * a slot, at most three quarters full, where a Map of strings takes well over 100 bytes an id.
 */

/** An id as four words of 32 bits, the first 8 hex digits in the first. */
export const idWords = 4;
const capacityMin = 1024;

export const wordsOfId = (id: string): Uint32Array =>
  Uint32Array.of(
    Number.parseInt(id.slice(0, 8), 16),
    Number.parseInt(id.slice(9, 13) + id.slice(14, 18), 16),
    Number.parseInt(id.slice(19, 23) + id.slice(24, 28), 16),
    Number.parseInt(id.slice(28), 16),
  );

/** The id whose words begin at `at`. */
export const idOfWords = (words: Uint32Array, at: number): string => {
  const hex = Array.from(words.subarray(at, at + idWords), (word) => word.toString(16).padStart(8, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

export class EventIds {
  #words = new Uint32Array(capacityMin * idWords);
  #indexes = new Float64Array(capacityMin).fill(-1);
  #count = 0;

  /** Adds an id (a UUID); returns the index at which it was seen before, or undefined if it is new. */
  add(id: string, index: number): number | undefined {
    return this.addWords(wordsOfId(id), 0, index);
  }

  /** The same, of the id whose words begin at `at`. */
  addWords(words: Uint32Array, at: number, index: number): number | undefined {
    if (this.#count * 4 >= this.#indexes.length * 3) this.#grow();
    const slot = this.#find(words, at);
    const seen = this.#indexes[slot]!;
    if (seen >= 0) return seen;
    for (let i = 0; i < idWords; i += 1) this.#words[slot * idWords + i] = words[at + i]!;
    this.#indexes[slot] = index;
    this.#count += 1;
    return undefined;
  }

  /** The slot that holds the id whose words begin at `at`, or the free one where it belongs. */
  #find(words: Uint32Array, at: number): number {
    const mask = this.#indexes.length - 1;
    // The time is in the first words of a UUIDv7, the chance in the last ones.
    let slot = Math.imul(words[at + 3]! ^ words[at + 1]!, 0x9e3779b1) >>> 0;
    slot = (slot ^ words[at + 2]!) & mask;
    while (this.#indexes[slot]! >= 0) {
      const place = slot * idWords;
      let equal = true;
      for (let i = 0; i < idWords; i += 1) equal &&= this.#words[place + i] === words[at + i];
      if (equal) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const words = this.#words;
    const indexes = this.#indexes;
    this.#words = new Uint32Array(words.length * 2);
    this.#indexes = new Float64Array(indexes.length * 2).fill(-1);
    for (const [old, index] of indexes.entries()) {
      if (index < 0) continue;
      const slot = this.#find(words, old * idWords);
      this.#words.set(words.subarray(old * idWords, (old + 1) * idWords), slot * idWords);
      this.#indexes[slot] = index;
    }
  }
}
