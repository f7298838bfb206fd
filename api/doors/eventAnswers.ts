/**
 * The answer of the events door: a line an event, in order, and a last line that says how many there were, and what ended
 * them where that was an error. An answer without that last line is not complete.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { ApiError } from '../errors.ts';
import type { RecordResult } from '../operations/events.ts';

type Tally = Record<RecordResult['status'], number>;

/** A caller that does not take its answers for so long is cut off: it would hold what it was answered in memory. */
const takeMsMax = 30_000;

export class EventAnswers {
  readonly #response: ServerResponse;
  readonly #tally: Tally = { accepted: 0, duplicate: 0, refused: 0 };
  /** As JSON; the events of a batch mostly share one. */
  #checkpoint = { note: '', json: '""' };

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get answered(): number {
    const { accepted, duplicate, refused } = this.#tally;
    return accepted + duplicate + refused;
  }

  /** Returns when the caller has room for more. `lines`: number of the line of each result. */
  async write(lines: readonly number[], results: readonly RecordResult[]): Promise<void> {
    const text = results.map((result, place) => this.#lineOf(lines[place]!, result)).join('');
    await this.#send(text);
  }

  /** The last line, and the end of the answer. */
  end(error: ApiError | undefined): void {
    const { accepted, duplicate, refused } = this.#tally;
    const said = error && { code: error.code, retryable: error.retryable, message: error.message };
    const summary = { answered: this.answered, accepted, duplicate, refused };
    this.#begin();
    this.#response.end(`${JSON.stringify({ summary, error: said ?? null })}\n`);
  }

  #begin(): void {
    if (!this.#response.headersSent)
      this.#response.writeHead(200, { 'Content-Type': 'application/x-ndjson; charset=utf-8' });
  }

  #lineOf(line: number, { status, receipt, refusal }: RecordResult): string {
    this.#tally[status] += 1;
    if (!receipt) return `${JSON.stringify({ line, status, receipt, refusal })}\n`;
    const { id, index, leafHash, checkpoint } = receipt;
    if (this.#checkpoint.note !== checkpoint) this.#checkpoint = { note: checkpoint, json: JSON.stringify(checkpoint) };
    // Of these only the checkpoint holds what JSON would escape.
    return `{"line":${line},"status":"${status}","receipt":{"id":"${id}","index":${index},"leafHash":"${leafHash}","checkpoint":${this.#checkpoint.json}},"refusal":null}\n`;
  }

  async #send(text: string): Promise<void> {
    const response = this.#response;
    if (response.destroyed) return;
    this.#begin();
    if (response.write(text)) return;
    const over = new AbortController();
    const timer = setTimeout(() => response.destroy(), takeMsMax);
    try {
      await Promise.race([
        once(response, 'drain', { signal: over.signal }),
        once(response, 'close', { signal: over.signal }),
      ]);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }
}
