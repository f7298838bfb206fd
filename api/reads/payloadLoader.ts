/**
 * Opens the payload parts that an answer asks for, all of one turn together, and only those that the caller may see.
 * What is opened is noted first, so that it will be recorded.
 */
import type { PartContent, RecordedEvent } from '../../schema/event.ts';
import type { IndexedEvent, MaySee, TrailReader } from '../../trail/reader.ts';
import { ApiError } from '../errors.ts';
import type { RequestReads } from './requestReads.ts';

export type Parts = Readonly<Record<string, PartContent>>;

interface Waiting {
  readonly event: RecordedEvent;
  readonly resolve: (parts: Parts) => void;
  readonly reject: (error: unknown) => void;
}

export interface PayloadLoaderOptions {
  readonly reader: TrailReader;
  readonly maySee: () => Promise<MaySee>;
  readonly reads: RequestReads;
  readonly payloadBytesMax: number;
}

export class PayloadLoader {
  readonly #options: PayloadLoaderOptions;
  readonly #loaded = new Map<number, Promise<Parts>>();
  #waiting: Waiting[] = [];
  #bytes = 0;

  constructor(options: PayloadLoaderOptions) {
    this.#options = options;
  }

  /** Parts of one event by name. */
  partsOf(event: RecordedEvent): Promise<Parts> {
    const known = this.#loaded.get(event.index);
    if (known) return known;
    const { promise, resolve, reject } = Promise.withResolvers<Parts>();
    this.#loaded.set(event.index, promise);
    this.#waiting.push({ event, resolve, reject });
    if (this.#waiting.length === 1) process.nextTick(() => void this.#openWaiting());
    return promise;
  }

  /** The same events with their parts. `also`: parts that the caller may see besides. Throws QUERY_TOO_COSTLY. */
  async open(events: readonly IndexedEvent[], also?: MaySee): Promise<IndexedEvent[]> {
    const { reader, reads, payloadBytesMax } = this.#options;
    const seen = await this.#options.maySee();
    const maySee: MaySee = (entry, part) => seen(entry, part) || (also?.(entry, part) ?? false);
    const opened = events.filter(({ entry }) => entry.parts.some((part) => maySee(entry, part)));
    this.#bytes += opened.reduce(
      (sum, { entry }) => sum + entry.parts.reduce((all, { sizeBytes }) => all + sizeBytes, 0),
      0,
    );
    if (this.#bytes > payloadBytesMax)
      throw new ApiError(
        'QUERY_TOO_COSTLY',
        `the payload asked for is larger than ${payloadBytesMax} bytes; ask for fewer events at once`,
      );
    reads.payloads(opened.map(({ index }) => index));
    return reader.withParts(events, maySee);
  }

  async #openWaiting(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      // What resolvers hand on as recorded events are rows of the index.
      const opened = await this.open(waiting.map(({ event }) => event as IndexedEvent));
      for (const [position, { resolve }] of waiting.entries()) resolve(opened[position]!.parts ?? {});
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  /** Forgets what was loaded: the next event of a subscription begins anew. */
  clear(): void {
    this.#loaded.clear();
    this.#bytes = 0;
  }
}
