/**
 * Small byte strings side by side in larger allocations. Node's own pool is 8 KiB, which is eight entries: allocating and
 * collecting those was a fifth of an append. A chunk lives as long as anything in it: only for what lives about equally long.
 */
const chunkBytes = 120 * 1024;

export class Arena {
  #chunk = Buffer.alloc(0);
  #at = 0;

  /** The UTF-8 bytes of `text`. */
  utf8(text: string): Buffer {
    // A UTF-16 code unit takes three bytes at most.
    if (text.length * 3 > this.#chunk.length - this.#at) {
      const length = Buffer.byteLength(text, 'utf8');
      if (length > chunkBytes / 8) return Buffer.from(text, 'utf8');
      if (length > this.#chunk.length - this.#at) {
        this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
        this.#at = 0;
      }
    }
    const start = this.#at;
    this.#at += this.#chunk.write(text, start, 'utf8');
    return this.#chunk.subarray(start, this.#at);
  }
}
