import type { EventId } from '../schema/ids.ts';

/** What the window keeps of an entry: nothing else, since the rest may be megabytes. */
export interface RecentEntry {
  readonly id: EventId;
  readonly emitter: { readonly id: string; readonly sequence: number };
}

const sequenceKey = (emitter: { id: string; sequence: number }): string => `${emitter.sequence}/${emitter.id}`;

const kept = ({ id, emitter }: RecentEntry): RecentEntry => ({
  id,
  emitter: { id: emitter.id, sequence: emitter.sequence },
});

/**
 * Ids and sequence numbers of the entries between the index's cursor and the end of the log. What is older is looked
 * up in the index; the two together miss nothing, if the cursor is read before the index.
 */
export class RecentEntries {
  #from = 0;
  #end = 0;
  readonly #ids = new Map<EventId, number>();
  readonly #sequences = new Map<string, EventId>();
  readonly #segments: { first: number; entries: readonly RecentEntry[] }[] = [];
  readonly #highs = new Map<string, number>();

  /** First index that the window holds. */
  get from(): number {
    return this.#from;
  }

  /** Where the window ends. */
  get end(): number {
    return this.#end;
  }

  /** Forgets all; the window then begins and ends at `index`. */
  reset(index: number): void {
    this.#from = index;
    this.#end = index;
    this.#ids.clear();
    this.#sequences.clear();
    this.#highs.clear();
    this.#segments.length = 0;
  }

  /** Adds the segment at the end of the window, or right before its beginning. */
  add(first: number, entries: readonly RecentEntry[]): void {
    const segment = { first, entries: entries.map(kept) };
    if (first === this.#end) {
      this.#segments.push(segment);
      this.#end = first + entries.length;
    } else if (first + entries.length === this.#from) {
      this.#segments.unshift(segment);
      this.#from = first;
    } else {
      throw new RangeError(`the window ${this.#from}..${this.#end} has no place for a segment at ${first}`);
    }
    for (const [position, entry] of entries.entries()) {
      this.#ids.set(entry.id, first + position);
      this.#sequences.set(sequenceKey(entry.emitter), entry.id);
      const high = this.#highs.get(entry.emitter.id) ?? 0;
      if (entry.emitter.sequence > high) this.#highs.set(entry.emitter.id, entry.emitter.sequence);
    }
  }

  /** Drops whole segments that end at or before `index`. */
  dropBefore(index: number): void {
    while (this.#segments.length > 0) {
      const { first, entries } = this.#segments[0]!;
      if (first + entries.length > index) return;
      for (const entry of entries) {
        this.#ids.delete(entry.id);
        this.#sequences.delete(sequenceKey(entry.emitter));
        const { id, sequence } = entry.emitter;
        if (this.#highs.get(id) === sequence) this.#highs.delete(id);
      }
      this.#segments.shift();
      this.#from = first + entries.length;
    }
  }

  indexOf(id: EventId): number | undefined {
    return this.#ids.get(id);
  }

  idAt(emitter: { id: string; sequence: number }): EventId | undefined {
    return this.#sequences.get(sequenceKey(emitter));
  }

  /** At least the highest number of an emitter in the window, unless the index knows a higher one; 0 for none. */
  high(emitter: string): number {
    return this.#highs.get(emitter) ?? 0;
  }
}
