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
import type { AppendItem, Placement } from './append-item.ts';
import { partKey } from './boxes.ts';
import { TrailError, type Refusal } from './errors.ts';
import type { PartReader } from './parts.ts';
import { emittersOf, indexOf, indexTail, tailsOf, type EmitterRow, type IndexRow, type TailRow } from './projection.ts';
import { RecentEntries } from './recent.ts';
import type { Sealing } from './seal.ts';
import { parseEntry, segmentEntries, segmentsOf, type SegmentDocument } from './segments.ts';

/** Entries that the index may be behind before the writer stops taking more. */
const behindMax = 1_000_000;
const emittersCachedMax = 100_000;

export interface Precedent {
  readonly index: number;
  readonly entry: Entry;
  readonly leafHash: Buffer;
  readonly segment: number;
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
  /** Highest sequence numbers that the index knew when it was asked. */
  readonly #indexedHighs = new Map<string, number>();

  constructor(instance: InstanceId, client: MongoClient, parts: PartReader) {
    this.#segments = segmentsOf(client, instance);
    this.#index = indexOf(client, instance);
    this.#emitters = emittersOf(client, instance);
    this.#tails = tailsOf(client, instance);
    this.#parts = parts;
  }

  /** To be called when the writer has found the end of the log anew. */
  reset(end: number): void {
    this.generation += 1;
    this.recent.reset(end);
    this.#indexedHighs.clear();
  }

  /** Precedents of these ids, where there are any. */
  async find(ids: readonly EventId[]): Promise<Map<EventId, Precedent>> {
    await this.#coverFromCursor();
    const found = new Map<EventId, Precedent>();
    const inSegments: { id: EventId; index: number }[] = [];
    const older: EventId[] = [];
    for (const id of ids) {
      const index = this.recent.indexOf(id);
      if (index === undefined) older.push(id);
      else inSegments.push({ id, index });
    }
    for (const { id, index } of inSegments) found.set(id, await this.#fromSegment(index));
    const rows = await this.#index.find({ id: { $in: older } }).toArray();
    for (const row of rows)
      found.set(row.id as EventId, {
        index: row._id,
        entry: parseEntry(row.entry.buffer),
        leafHash: Buffer.from(row.leaf.buffer),
        segment: row.segment,
      });
    return found;
  }

  /** The highest sequence number of each emitter in the log; 0 where it has none. Call after `find`. */
  async highs(emitters: readonly string[]): Promise<Map<string, number>> {
    const unknown = [...new Set(emitters)].filter((emitter) => !this.#indexedHighs.has(emitter));
    if (unknown.length > 0) {
      if (this.#indexedHighs.size + unknown.length > emittersCachedMax) this.#indexedHighs.clear();
      for (const emitter of unknown) this.#indexedHighs.set(emitter, 0);
      for (const row of await this.#emitters.find({ _id: { $in: unknown } }).toArray())
        this.#indexedHighs.set(row._id, row.high);
    }
    return new Map(
      emitters.map((emitter) => [emitter, Math.max(this.#indexedHighs.get(emitter) ?? 0, this.recent.high(emitter))]),
    );
  }

  /** Id of the event that has this sequence number, undefined where the number is free. */
  async idAt(emitter: { id: string; sequence: number }): Promise<EventId | undefined> {
    const recent = this.recent.idAt(emitter);
    if (recent) return recent;
    const row = await this.#index.findOne({ emitter: emitter.id, seq: emitter.sequence }, { projection: { id: 1 } });
    return row ? (row.id as EventId) : undefined;
  }

  /** Whether an item is the recorded event once more, or another event with its id. */
  async compare(item: AppendItem, sealing: Sealing, precedent: Precedent): Promise<Placement | Refusal> {
    if ('refusal' in sealing) return sealing.refusal;
    const same =
      entryFingerprint(sealing.sealed.entry) === entryFingerprint(precedent.entry) &&
      (await this.#sameParts(sealing.sealed.parts, precedent));
    if (same) return { status: 'duplicate', index: precedent.index, leafHash: precedent.leafHash };
    return idConflict(item.unsealed.event.id);
  }

  async #sameParts(
    parts: readonly { readonly part: { readonly plaintext: Uint8Array; readonly position: number } }[],
    { entry, segment }: Precedent,
  ): Promise<boolean> {
    const opened = await this.#parts.open([{ entry, segment }]);
    return parts.every(({ part }) => {
      const recorded = opened.get(partKey(entry.id, part.position));
      // Content that was erased can't be compared any more; the skeletons agree.
      return !recorded || commitment(recorded.salt, part.plaintext) === entry.parts[part.position]?.commitment;
    });
  }

  async #fromSegment(index: number): Promise<Precedent> {
    const segment = await this.#segments
      .find({ _id: { $lte: index } })
      .sort({ _id: -1 })
      .limit(1)
      .next();
    const bytes = segment && segmentEntries(segment)[index - segment._id];
    if (!bytes) throw new TrailError('LOG_INCONSISTENT', `the entry at ${index} was there and is not any more`);
    const leafHash = Buffer.alloc(32);
    leafHashInto(bytes, leafHash, 0);
    return { index, entry: parseEntry(bytes), leafHash, segment: segment._id };
  }

  /** Makes the window reach back to the index's cursor, and lets go of what the index holds. */
  async #coverFromCursor(): Promise<void> {
    const cursor = (await this.#tails.findOne({ _id: indexTail }))?.next ?? 0;
    if (cursor < this.recent.from) {
      const missing = this.#segments.find({ _id: { $gte: cursor, $lt: this.recent.from } }).sort({ _id: -1 });
      for await (const segment of missing) this.recent.add(segment._id, segmentEntries(segment).map(parseEntry));
      if (this.recent.from !== cursor)
        throw new TrailError(
          'LOG_INCONSISTENT',
          `the segments from ${cursor} to ${this.recent.from} are not all there`,
        );
    }
    this.recent.dropBefore(cursor);
    if (this.recent.size > behindMax)
      throw new TrailError('QUEUE_FULL', `the index is ${this.recent.size} entries behind; try again later`);
  }
}

export const idConflict = (id: EventId): Refusal => ({
  code: 'ID_CONFLICT',
  message: `the id ${id} stands in the log with other content; a new event needs a new id`,
});

/** What was sent, as one digest: two events of one call with the same id are the same if this is. */
export const sentDigest = ({ unsealed }: AppendItem): string =>
  createHash('sha256')
    .update(JSON.stringify([unsealed.event, unsealed.provenance]))
    .digest('hex');
