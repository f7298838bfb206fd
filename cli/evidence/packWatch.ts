/** Looks into a pack while it goes by: how many entries have come, and whether its end has. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { member } from '../../domain/evidence/format.ts';

const entriesMember = /^[^/]+\/entries\/\d+\.ndjson$/;
const newline = 0x0a;

export class PackWatch {
  entries = 0;
  sizeBytes = 0;
  /** Settles once the archive was read to its end; rejects where it is none. */
  readonly ended: Promise<void>;
  readonly #gunzip = createGunzip();
  readonly #progress: (entries: number) => void;
  #last = '';

  constructor(progress: (entries: number) => void) {
    this.#progress = progress;
    this.ended = this.#read();
    // Whoever awaits it may come later.
    this.ended.catch(() => undefined);
  }

  /** The manifest, which is the last member of a whole pack, has come. */
  get isWhole(): boolean {
    return this.#last === member.manifest;
  }

  /** A stage of a pipeline that hands everything on as it is. */
  async *tap(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of source) {
        this.sizeBytes += chunk.length;
        if (!this.#gunzip.write(chunk)) await Promise.race([once(this.#gunzip, 'drain'), this.ended]);
        yield chunk;
      }
      this.#gunzip.end();
    } catch (error) {
      this.#gunzip.destroy(error as Error);
      throw error;
    }
  }

  async #read(): Promise<void> {
    const archive = this.#gunzip.pipe(extract());
    this.#gunzip.on('error', (error) => archive.destroy(error));
    for await (const entry of archive) {
      const { name } = entry.header;
      this.#last = name.slice(name.indexOf('/') + 1);
      await this.#count(entry as unknown as Readable, entriesMember.test(name));
    }
  }

  async #count(entry: Readable, counted: boolean): Promise<void> {
    let lines = 0;
    for await (const chunk of entry as AsyncIterable<Buffer>)
      if (counted) for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) lines += 1;
    this.entries += lines;
    if (lines > 0) this.#progress(this.entries);
  }
}
