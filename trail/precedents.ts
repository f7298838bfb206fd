/**
 * What stands in the log already: entries with the same id, and sequence numbers that are taken. Looked for at the
 * index's cursor (read first), then in the index, then in the segments from the cursor to the end.
 */
import { createHash } from 'node:crypto';
import type { Collection, MongoClient } from 'mongodb';
import { commitment, entryFingerprint } from '../domain/entry.ts';
import { leafHashInto } from '../domain/tree/hash.ts';
import type { Entry } from '../schema/event.ts';
import type { EventId, InstanceId } from '../schema/ids.ts';
import type { AppendItem } from './append-item.ts';
import { partKey } from './boxes.ts';
import { TrailError, type Refusal } from './errors.ts';
import type { PartReader } from './parts.ts';
import { emittersOf, indexOf, indexTail, tailsOf, type EmitterRow, type IndexRow, type TailRow } from './projection.ts';
import { RecentEntries, type RecentEntry } from './recent.ts';
import type { SealedEvent, Sealing } from './seal.ts';
import { parseEntry, segmentEntries, segmentsOf, type SegmentDocument } from './segments.ts';
import type { RightEdge } from './verification/right-edge.ts';

/** Entries that the index may be behind before the writer stops taking more. */
const behindMax = 1_000_000;

export interface Precedent {
  readonly index: number;
  readonly entry: Entry;
  readonly leafHash: Buffer;
  readonly segment: number;
  /** Present where the index says so and the record does not: whether the event was recorded can't be told. */
  readonly fault?: TrailError;
}

/** Entries after which the index is asked again how far it is, though the window alone would do: it grows meanwhile. */
const entriesPerCover = 2000;

/** What stood in the log before the index `checkedTo`. What was added since has to be looked for in the window. */
export interface Precedence {
  readonly checkedTo: number;
  /** Where the index stood before it was read; undefined where it was not needed. */
  readonly cursor: number | undefined;
  /** Where the window began then. */
  readonly from: number;
  /** The greatest id that the index held, '' for none; undefined where it was not asked. */
  readonly newest: EventId | '' | undefined;
  readonly precedents: ReadonlyMap<EventId, Precedent>;
  /** The highest sequence number of each emitter; none where it has no entry. */
  readonly highs: Map<string, number>;
}

/** An item whose id stands in the log already. */
export interface Repetition {
  readonly item: AppendItem;
  readonly sealing: Sealing;
  readonly precedent: Precedent;
}

export class Precedents {
  readonly recent = new RecentEntries();
  /** Counts resets. What was checked before a reset has to be checked again: the window has forgotten. */
  generation = 0;
  readonly #segments: Collection<SegmentDocument>;
  readonly #index: Collection<IndexRow>;
  readonly #emitters: Collection<EmitterRow>;
  readonly #tails: Collection<TailRow>;
  readonly #parts: PartReader;
  #edge: RightEdge | undefined;
  #indexTrustedTo = Infinity;

  constructor(instance: InstanceId, client: MongoClient, parts: PartReader) {
    this.#segments = segmentsOf(client, instance);
    this.#index = indexOf(client, instance);
    this.#emitters = emittersOf(client, instance);
    this.#tails = tailsOf(client, instance);
    this.#parts = parts;
  }

  /** To be called when the writer has found the end of the log anew. Where the index is not to be trusted, the record is asked. */
  reset(end: number, edge: RightEdge): void {
    this.generation += 1;
    this.#edge = edge;
    this.#indexTrustedTo = edge.indexTrustedTo;
    this.#edgeCheckedAt = end;
    this.recent.reset(end);
  }

  /** Precedents of these events and highest numbers of their emitters, where there are any. */
  async find(events: readonly RecentEntry[]): Promise<Precedence> {
    const { recent } = this;
    if (recent.end - this.#coveredAt < entriesPerCover && events.every((event) => recent.isNew(event)))
      return {
        checkedTo: recent.end,
        cursor: undefined,
        from: recent.from,
        newest: undefined,
        precedents: none,
        highs: this.#highs(events),
      };
    const cursor = await this.#coverFromCursor();
    const { from, end: checkedTo } = recent;
    const inWindow: number[] = [];
    const older: EventId[] = [];
    for (const { id } of events) {
      const index = recent.indexOf(id);
      if (index === undefined) older.push(id);
      else inWindow.push(index);
    }
    const highs = this.#highs(events);
    const [rows, states, newest] = await Promise.all([
      this.#index.find({ id: { $in: older } }).toArray(),
      this.#emitters.find({ _id: { $in: [...highs.keys()] } }).toArray(),
      recent.knowsNewest ? undefined : this.#newestIndexed(),
    ]);
    for (const { _id, high } of states) if (high > highs.get(_id)!) highs.set(_id, high);
    const found = await this.#fromSegments(inWindow);
    for (const [id, precedent] of await this.#fromRows(rows)) found.set(id, precedent);
    return { checkedTo, cursor, from, newest, precedents: found, highs };
  }

  /**
   * Whether the index was there all the time since `find`: it may be dropped, its cursor first, and made again. If so, what
   * it said is remembered; `highs` as `find` gave them. To be called before anything else is found.
   */
  async stillHolds(
    { cursor, from, newest }: Precedence,
    highs: readonly (readonly [string, number])[],
  ): Promise<boolean> {
    if (cursor === undefined) return true;
    const { generation } = this;
    if ((await this.#cursor()) < cursor) return false;
    // What left the window since then is neither in what the index said nor in the window.
    if (generation === this.generation && this.recent.from <= from) this.recent.learn(newest, highs);
    return true;
  }

  /** Highest numbers in the window of these events' emitters. */
  #highs(events: readonly RecentEntry[]): Map<string, number> {
    const highs = new Map<string, number>();
    let last: string | undefined;
    for (const { emitter } of events) {
      if (emitter.id !== last) highs.set(emitter.id, this.recent.high(emitter.id));
      last = emitter.id;
    }
    return highs;
  }

  async #newestIndexed(): Promise<EventId | ''> {
    const row = await this.#index.findOne({}, { sort: { id: -1 }, projection: { id: 1 } });
    return row ? (row.id as EventId) : '';
  }

  async #cursor(): Promise<number> {
    return Math.min((await this.#tails.findOne({ _id: indexTail }))?.next ?? 0, this.#indexTrustedTo);
  }

  /** Id of the event that has this sequence number, undefined where the number is free. */
  async idAt(emitter: { id: string; sequence: number }): Promise<EventId | undefined> {
    const recent = this.recent.idAt(emitter);
    if (recent) return recent;
    const row = await this.#index.findOne({ emitter: emitter.id, seq: emitter.sequence }, { projection: { id: 1 } });
    return row ? (row.id as EventId) : undefined;
  }

  /** Settles each as the recorded event once more, or as another event with its id. Opens each segment's boxes once. */
  async settle(repetitions: readonly Repetition[]): Promise<void> {
    for (const { item, precedent } of repetitions) if (precedent.fault) item.fail(precedent.fault);
    const held = repetitions.filter(({ precedent }) => precedent.fault === undefined);
    for (const group of Map.groupBy(held, ({ precedent }) => precedent.segment).values()) {
      const { parts, altered } = await this.#parts.openEach(group.map(({ precedent }) => precedent));
      for (const { item, sealing, precedent } of group) {
        const fault = altered.get(precedent.entry.id);
        if (fault) item.fail(fault);
        else if ('refusal' in sealing) item.refuse(sealing.refusal);
        else if (isSame(sealing.sealed, precedent.entry, parts))
          item.place({ status: 'duplicate', index: precedent.index, leafHash: precedent.leafHash.toString('hex') });
        else item.refuse(idConflict(precedent.entry.id));
      }
    }
  }

  async #fromSegments(indexes: readonly number[]): Promise<Map<EventId, Precedent>> {
    const found = new Map<EventId, Precedent>();
    let segment: { first: number; entries: Buffer[] } | undefined;
    for (const index of indexes.toSorted((a, b) => a - b)) {
      if (!segment?.entries[index - segment.first]) segment = await this.#segmentOf(index);
      const bytes = segment.entries[index - segment.first];
      if (!bytes) throw new TrailError('LOG_INCONSISTENT', `the entry at ${index} was there and is not any more`);
      const leafHash = Buffer.alloc(32);
      leafHashInto(bytes, leafHash, 0);
      const entry = parseEntry(bytes);
      found.set(entry.id, { index, entry, leafHash, segment: segment.first });
    }
    return found;
  }

  /** What rows of the index say, each held against the record: a receipt must not rest on a row that somebody wrote. */
  async #fromRows(rows: readonly IndexRow[]): Promise<Map<EventId, Precedent>> {
    const found = new Map<EventId, Precedent>();
    let segment: { first: number; entries: Buffer[] } | undefined;
    for (const row of rows.toSorted((a, b) => a._id - b._id)) {
      const { _id: index, id } = row;
      if (!segment?.entries[index - segment.first]) segment = await this.#segmentOf(index);
      const bytes = segment.entries[index - segment.first];
      const entry = parseEntry(row.entry.buffer);
      const leafHash = Buffer.alloc(32);
      leafHashInto(row.entry.buffer, leafHash, 0);
      const held = bytes?.equals(row.entry.buffer) === true && entry.id === id;
      const message = `the index has the event ${id} at ${index}, and the record does not`;
      const fault = held ? {} : { fault: new TrailError('LOG_INCONSISTENT', message) };
      found.set(id as EventId, { index, entry, leafHash, segment: segment.first, ...fault });
    }
    return found;
  }

  async #segmentOf(index: number): Promise<{ first: number; entries: Buffer[] }> {
    const segment = await this.#segments
      .find({ _id: { $lte: index } })
      .sort({ _id: -1 })
      .limit(1)
      .next();
    return { first: segment?._id ?? 0, entries: segment ? segmentEntries(segment) : [] };
  }

  /** Where the log ended when the window was last cut back to the index's cursor. */
  #coveredAt = 0;
  #covering: Promise<unknown> = Promise.resolve();
  /** Where the log ended when the rows of its right edge were last held against the record. */
  #edgeCheckedAt = 0;

  /** One at a time: batches are prepared side by side, and the window has one beginning. */
  #coverFromCursor(): Promise<number> {
    const done = this.#covering.then(() => this.#cover());
    this.#covering = done.catch(() => undefined);
    return done;
  }

  /** Makes the window reach back to the index's cursor, and lets go of what the index holds. Returns the cursor. */
  async #cover(): Promise<number> {
    const { generation } = this;
    await this.#trustRepaired();
    const cursor = await this.#cursor();
    const { from, end } = this.recent;
    if (end - cursor > behindMax)
      throw new TrailError('QUEUE_FULL', `the index is ${end - cursor} entries behind; try again later`);
    const missing: { first: number; entries: RecentEntry[] }[] = [];
    let next = cursor;
    if (cursor < from) {
      for await (const segment of this.#segments.find({ _id: { $gte: cursor, $lt: from } }).sort({ _id: 1 })) {
        // A stray segment is not part of the log.
        if (segment._id !== next) continue;
        next += segment.n;
        missing.push({ first: segment._id, entries: segmentEntries(segment).map(idAndEmitter) });
      }
    }
    // The writer found the end of the log anew meanwhile: the window is another one.
    if (generation !== this.generation) return this.#cover();
    if (cursor < from && next !== from)
      throw new TrailError('LOG_INCONSISTENT', `the segments from ${cursor} to ${from} are not all there`);
    for (const { first, entries } of missing.toReversed()) this.recent.add(first, entries);
    this.recent.dropBefore(cursor);
    this.#coveredAt = this.recent.end;
    return cursor;
  }

  /** Relies on the index again once it was made anew; else the window would grow with the log, up to its bound. */
  async #trustRepaired(): Promise<void> {
    const { generation } = this;
    const { end } = this.recent;
    if (!this.#edge || this.#indexTrustedTo === Infinity) return;
    // At the bound nothing is appended any more, so it is asked each time.
    if (end - this.#edgeCheckedAt < entriesPerCover && end - this.#indexTrustedTo <= behindMax) return;
    const isRepaired = await this.#edge.isRepaired();
    if (generation !== this.generation) return;
    this.#edgeCheckedAt = end;
    if (isRepaired) this.#indexTrustedTo = Infinity;
  }
}

const none: ReadonlyMap<EventId, Precedent> = new Map();

const idAndEmitter = (bytes: Uint8Array): RecentEntry => {
  const { id, emitter } = parseEntry(bytes);
  return { id, emitter };
};

const isSame = (
  { entry, parts }: SealedEvent,
  recorded: Entry,
  opened: ReadonlyMap<string, { readonly salt: Uint8Array }>,
): boolean =>
  entryFingerprint(entry) === entryFingerprint(recorded) &&
  parts.every((part) => {
    const found = opened.get(partKey(recorded.id, part.position));
    // Content that was erased can't be compared any more; the skeletons agree.
    return !found || commitment(found.salt, part.plaintext) === recorded.parts[part.position]?.commitment;
  });

export const idConflict = (id: EventId): Refusal => ({
  code: 'ID_CONFLICT',
  message: `the id ${id} stands in the log with other content; a new event needs a new id`,
});

/** What was sent, as one digest: two events of one call with the same id are the same if this is. */
export const sentDigest = ({ unsealed }: AppendItem): string =>
  createHash('sha256')
    .update(JSON.stringify([unsealed.event, unsealed.provenance]))
    .digest('hex');
