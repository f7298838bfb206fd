/**
 * A stream as lines, each ended by a newline. Blank ones are left out, but counted. One that is too long is not kept: it is
 * known by its digest. So nothing here grows with what is sent.
 */
import { createHash, type Hash } from 'node:crypto';

export type Line = {
  /** In the body, from 1. */
  readonly number: number;
} & (
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** `sha256`: hex, of all its bytes. */
  | { readonly kind: 'too-long'; readonly sha256: string }
  /** The last one, where no newline ends it. */
  | { readonly kind: 'unfinished' }
);

const newline = 0x0a;

/** The lines that each chunk completes; a chunk that completes none gives nothing. */
export async function* linesOf(chunks: AsyncIterable<Buffer>, lineBytesMax: number): AsyncGenerator<Line[]> {
  const splitter = new Splitter(lineBytesMax);
  for await (const chunk of chunks) {
    const lines = splitter.take(chunk);
    if (lines.length > 0) yield lines;
  }
  const last = splitter.end();
  if (last) yield [last];
}

class Splitter {
  readonly #bytesMax: number;
  #number = 1;
  /** Of the line that has begun. */
  #pieces: Buffer[] = [];
  #sizeBytes = 0;
  #tooLong: Hash | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  take(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      const line = this.#complete(chunk.subarray(from, at));
      if (line) lines.push(line);
      this.#number += 1;
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
    return lines;
  }

  end(): Line | undefined {
    if (this.#tooLong) return { kind: 'unfinished', number: this.#number };
    return isBlank(Buffer.concat(this.#pieces)) ? undefined : { kind: 'unfinished', number: this.#number };
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#sizeBytes += piece.length;
    if (this.#tooLong) this.#tooLong.update(piece);
    else this.#pieces.push(piece);
    if (this.#tooLong || this.#sizeBytes <= this.#bytesMax) return;
    this.#tooLong = createHash('sha256');
    for (const kept of this.#pieces) this.#tooLong.update(kept);
    this.#pieces = [];
  }

  #complete(rest: Buffer): Line | undefined {
    if (this.#sizeBytes > 0 || rest.length > this.#bytesMax) this.#keep(rest);
    const number = this.#number;
    const pieces = this.#pieces;
    const tooLong = this.#tooLong;
    const bytes = this.#sizeBytes === 0 ? rest : pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    this.#pieces = [];
    this.#sizeBytes = 0;
    this.#tooLong = undefined;
    if (tooLong) return { kind: 'too-long', number, sha256: tooLong.digest('hex') };
    return isBlank(bytes) ? undefined : { kind: 'whole', number, bytes };
  }
}

/** Nothing but what JSON takes for white space. */
const isBlank = (bytes: Buffer): boolean => {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  return true;
};
