import type { EventId } from '../schema/ids.ts';

/** What the window keeps of an entry: nothing else, since the rest may be megabytes. */
export interface RecentEntry {
  readonly id: EventId;
  readonly emitter: { readonly id: string; readonly sequence: number };
}

interface RecentSegment {
  readonly first: number;
  readonly ids: readonly EventId[];
  readonly emitters: readonly RecentEmitter[];
  readonly sequences: readonly number[];
}

interface RecentEmitter {
  readonly id: string;
  /** Ids by sequence number. */
  readonly events: Map<number, EventId>;
  high: number;
  /** Whether `high` is that of the whole log, and not of the window alone. */
  known: boolean;
}

/** Emitters without an entry in the window whose highest number is remembered. */
const knownMax = 10_000;

/**
 * Ids and sequence numbers of the entries between the index's cursor and the end of the log. What is older is looked
 * up in the index; the two together miss nothing, if the cursor is read before the index.
 *
 * An event's id begins with its time, so nearly every new one is greater than all that are older than the window, and
 * the window alone says that it is new. Likewise a number that is above the highest of its emitter.
 */
export class RecentEntries {
  #from = 0;
  #end = 0;
  readonly #ids = new Map<EventId, number>();
  readonly #emitters = new Map<string, RecentEmitter>();
  readonly #segments: RecentSegment[] = [];
  /** No id before the window is greater; undefined where that is not known. */
  #newestBefore: EventId | '' | undefined;

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
    this.#emitters.clear();
    this.#segments.length = 0;
    this.#newestBefore = undefined;
  }

  /**
   * Takes on what the index said after it held all entries before the window: its greatest id ('' for none), and the
   * highest numbers of these emitters in the whole log.
   */
  learn(newestBefore: EventId | '' | undefined, highs: Iterable<readonly [string, number]>): void {
    if (newestBefore !== undefined) this.#newestBefore ??= newestBefore;
    if (this.#emitters.size > knownMax)
      for (const { id, events } of this.#emitters.values()) if (events.size === 0) this.#emitters.delete(id);
    for (const [id, high] of highs) {
      const emitter = this.#emitter(id);
      emitter.high = Math.max(emitter.high, high);
      emitter.known = true;
    }
  }

  get knowsNewest(): boolean {
    return this.#newestBefore !== undefined;
  }

  /** Whether this can be told to be new without the index: nothing in the log has its id or its number. */
  isNew({ id, emitter: { id: emitter, sequence } }: RecentEntry): boolean {
    if (this.#newestBefore === undefined || id <= this.#newestBefore || this.#ids.has(id)) return false;
    const from = this.#emitters.get(emitter);
    return from !== undefined && from.known && sequence > from.high;
  }

  /** Adds the segment at the end of the window, or right before its beginning. */
  add(first: number, entries: readonly RecentEntry[]): void {
    const atEnd = first === this.#end;
    if (!atEnd && first + entries.length !== this.#from)
      throw new RangeError(`the window ${this.#from}..${this.#end} has no place for a segment at ${first}`);
    const ids: EventId[] = [];
    const emitters: RecentEmitter[] = [];
    const sequences: number[] = [];
    let emitter: RecentEmitter | undefined;
    for (const { id, emitter: of } of entries) {
      // Entries of one emitter stand together more often than not.
      if (emitter?.id !== of.id) emitter = this.#emitter(of.id);
      this.#ids.set(id, first + ids.length);
      emitter.events.set(of.sequence, id);
      if (of.sequence > emitter.high) emitter.high = of.sequence;
      ids.push(id);
      emitters.push(emitter);
      sequences.push(of.sequence);
    }
    const segment = { first, ids, emitters, sequences };
    if (atEnd) {
      this.#segments.push(segment);
      this.#end = first + entries.length;
    } else {
      this.#segments.unshift(segment);
      this.#from = first;
    }
  }

  #emitter(id: string): RecentEmitter {
    let emitter = this.#emitters.get(id);
    if (!emitter) this.#emitters.set(id, (emitter = { id, events: new Map(), high: 0, known: false }));
    return emitter;
  }

  /** Drops whole segments that end at or before `index`. */
  dropBefore(index: number): void {
    while (this.#segments.length > 0) {
      const { first, ids, emitters, sequences } = this.#segments[0]!;
      if (first + ids.length > index) return;
      for (const [position, id] of ids.entries()) {
        this.#ids.delete(id);
        if (this.#newestBefore !== undefined && id > this.#newestBefore) this.#newestBefore = id;
        const emitter = emitters[position]!;
        emitter.events.delete(sequences[position]!);
        if (emitter.known) continue;
        if (emitter.events.size === 0) this.#emitters.delete(emitter.id);
        // The index knows it from here on; of what is left in the window, one is higher or none was.
        else if (emitter.high === sequences[position]) emitter.high = 0;
      }
      this.#segments.shift();
      this.#from = first + ids.length;
    }
  }

  indexOf(id: EventId): number | undefined {
    return this.#ids.get(id);
  }

  idAt(emitter: { id: string; sequence: number }): EventId | undefined {
    return this.#emitters.get(emitter.id)?.events.get(emitter.sequence);
  }

  /** At least the highest number of an emitter in the window, unless the index knows a higher one; 0 for none. */
  high(emitter: string): number {
    return this.#emitters.get(emitter)?.high ?? 0;
  }
}
