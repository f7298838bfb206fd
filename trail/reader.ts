/**
 * Reads one instance's log: entries by index from the record, rows from the index. What is read has been acknowledged
 * or at least committed; `size` is what was acknowledged, so a query that waits for the index to reach it sees every
 * event that anybody had a receipt for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Collection, Filter, MongoClient } from 'mongodb';
import type { Entry, PartContent, RecordedEvent, SubjectRef } from '../schema/event.ts';
import type { CorrelationId, EventId, InstanceId } from '../schema/ids.ts';
import { controlActions, type System } from '../schema/taxonomy.ts';
import type { Anchor, AnchoredCheckpoint } from './anchor.ts';
import type { OpenedPart } from './boxes.ts';
import { leafHashInto } from '../domain/tree/hash.ts';
import type { OwnLog } from './log-end.ts';
import { joinParts, type PartReader } from './parts.ts';
import { emittersOf, indexOf, indexTail, tailsOf, type EmitterRow, type IndexRow, type TailRow } from './projection.ts';
import type { Sealer } from './seal.ts';
import { parseEntry, segmentEntries, segmentsOf, type SegmentDocument } from './segments.ts';
import { TileReader } from './tile-reader.ts';

/** What of an entry's payload a caller may see. */
export type MaySee = (entry: Entry, part: Entry['parts'][number]) => boolean;
export const seeAll: MaySee = () => true;

/** A row of the index, its entry parsed. */
export interface IndexedEvent extends RecordedEvent {
  readonly leafHash: Buffer;
  /** The entry as the index holds it; `leafHash` is of the bytes in the record. */
  readonly bytes: Buffer;
  /** First index of the segment that it stands in. */
  readonly segment: number;
}

const pollMs = 10;
/** What follows the kind in a URN: a colon and 32 hex digits. */
const pseudonymLength = 33;

export class TrailReader {
  readonly instance: InstanceId;
  readonly tiles: TileReader;
  readonly #anchor: Anchor;
  readonly #log: OwnLog;
  readonly #segments: Collection<SegmentDocument>;
  readonly #index: Collection<IndexRow>;
  readonly #emitters: Collection<EmitterRow>;
  readonly #tails: Collection<TailRow>;
  readonly #parts: PartReader;
  readonly #sealer: Sealer;

  constructor(
    instance: InstanceId,
    parts: { client: MongoClient; anchor: Anchor; log: OwnLog; parts: PartReader; sealer: Sealer },
  ) {
    this.instance = instance;
    this.tiles = new TileReader(instance, parts.client);
    this.#anchor = parts.anchor;
    this.#log = parts.log;
    this.#segments = segmentsOf(parts.client, instance);
    this.#index = indexOf(parts.client, instance);
    this.#emitters = emittersOf(parts.client, instance);
    this.#tails = tailsOf(parts.client, instance);
    this.#parts = parts.parts;
    this.#sealer = parts.sealer;
  }

  /** The latest signed checkpoint, as it is served; undefined for an empty log. */
  checkpoint(): Promise<AnchoredCheckpoint | undefined> {
    return this.#anchor.latest(this.#log.origin);
  }

  /** The smallest checkpoint that covers `size` entries. */
  async checkpointCovering(size: number): Promise<AnchoredCheckpoint | undefined> {
    return (await this.#anchor.from(this.#log.origin, size, 1))[0];
  }

  /** The latest checkpoint with its root, the signature checked. */
  async openedCheckpoint(): Promise<{ size: number; root: Buffer; note: string } | undefined> {
    const anchored = await this.checkpoint();
    if (!anchored) return undefined;
    const { size, root } = await this.#log.open(Buffer.from(anchored.note));
    return { size, root, note: anchored.note };
  }

  /** Number of acknowledged entries. */
  async size(): Promise<number> {
    return (await this.checkpoint())?.size ?? 0;
  }

  /**
   * Waits until the index holds everything that was acknowledged before the call, at most `waitMs`. Returns how many
   * entries it is behind: 0 where nothing is missing.
   */
  async fresh(waitMs: number): Promise<number> {
    return (await this.reach(waitMs)).behind;
  }

  /** The same, and how far the index then reaches: as `indexed` says. One round trip where there is nothing to wait for. */
  async reach(waitMs: number): Promise<{ readonly behind: number; readonly upTo: number }> {
    const deadline = performance.now() + waitMs;
    const [target, first] = await Promise.all([this.size(), this.indexed()]);
    for (let upTo = first; ; upTo = await this.indexed()) {
      if (upTo >= target) return { behind: 0, upTo };
      if (performance.now() >= deadline) return { behind: target - upTo, upTo };
      await delay(pollMs);
    }
  }

  /**
   * Number of entries that the index holds without a gap. Rows from here on may be there already while earlier ones
   * are not: whoever pages by index must not look beyond it.
   */
  async indexed(): Promise<number> {
    return (await this.#tails.findOne({ _id: indexTail }))?.next ?? 0;
  }

  /** Events of the index in log order, after `after` (exclusive), at most `limit`. */
  async find(filter: Filter<IndexRow>, page: { after?: number; limit: number }): Promise<IndexedEvent[]> {
    const after = page.after === undefined ? filter : { $and: [filter, { _id: { $gt: page.after } }] };
    const rows = await this.#index.find(after).sort({ _id: 1 }).limit(page.limit).toArray();
    return rows.map(indexed);
  }

  /** The last events of the index that match, latest first. */
  async findLatest(filter: Filter<IndexRow>, limit: number): Promise<IndexedEvent[]> {
    const rows = await this.#index.find(filter).sort({ _id: -1 }).limit(limit).toArray();
    return rows.map(indexed);
  }

  async byId(id: EventId): Promise<IndexedEvent | undefined> {
    const row = await this.#index.findOne({ id });
    return row ? indexed(row) : undefined;
  }

  /** The entry at an index, from the record itself: there as soon as it was acknowledged. */
  async at(index: number): Promise<IndexedEvent | undefined> {
    const segment = await this.#segments.findOne({ _id: { $lte: index } }, { sort: { _id: -1 } });
    const bytes = segment && segmentEntries(segment)[index - segment._id];
    if (!bytes) return undefined;
    const leafHash = Buffer.alloc(32);
    leafHashInto(bytes, leafHash, 0);
    return { index, entry: parseEntry(bytes), leafHash, bytes, segment: segment._id };
  }

  /** All events of one correlation id, in log order. */
  async byCorrelation(correlationId: CorrelationId, limit: number): Promise<IndexedEvent[]> {
    return this.find({ corr: correlationId }, { limit });
  }

  /** Control entries before `before`, in log order. */
  async control(page: { after?: number; limit: number }): Promise<IndexedEvent[]> {
    // By action, since that is indexed.
    return this.find({ action: { $in: [...controlActions] }, control: { $exists: true } }, page);
  }

  /** Correlation ids of the events that name this thing, by its original id in the target system; latest first. */
  async correlationsOf(system: System, kind: string, id: string, subject?: SubjectRef): Promise<CorrelationId[]> {
    const urn = await this.#sealer.urn(system, kind, id, subject);
    if (!urn) return [];
    const rows = await this.findLatest({ $or: [{ res: urn }, { channel: urn }] }, 1000);
    return [...new Set(rows.map(({ entry }) => entry.correlationId))];
  }

  /** Kinds of the resources and channels of one system that the index holds. One look-up a kind. */
  async kindsOf(system: System): Promise<string[]> {
    const kinds = new Set<string>();
    const prefix = `urn:trailkeeper:${system}:`;
    for (const field of ['res', 'channel'] as const) {
      // `;` follows `:`, so that each look-up skips all names of the kind before.
      for (let from = prefix; ;) {
        const filter = { [field]: { $gte: from, $lt: `urn:trailkeeper:${system};` } };
        const row = await this.#index.findOne(filter, { sort: { [field]: 1 }, projection: { [field]: 1 } });
        const kind = row?.[field]?.slice(prefix.length, -pseudonymLength);
        if (kind === undefined) break;
        kinds.add(kind);
        from = `${prefix}${kind};`;
      }
    }
    return [...kinds];
  }

  async emitters(ids: readonly string[]): Promise<EmitterRow[]> {
    return this.#emitters.find({ _id: { $in: [...ids] } }).toArray();
  }

  /** Emitters with missing ranges, by id, after `after`. */
  async emittersWithGaps(limit: number, after?: string): Promise<EmitterRow[]> {
    return this.#emitters
      .find({
        ...(after !== undefined && { _id: { $gt: after } }),
        $or: [{ 'missing.0': { $exists: true } }, { truncated: { $type: 'array' } }],
      })
      .sort({ _id: 1 })
      .limit(limit)
      .toArray();
  }

  /** The same events with the parts that the caller may see. */
  async withParts(events: readonly IndexedEvent[], maySee: MaySee): Promise<IndexedEvent[]> {
    const visible = events.filter(({ entry }) => entry.parts.some((part) => maySee(entry, part)));
    const opened = await this.#parts.open(visible);
    return events.map((event) => {
      const parts: Record<string, PartContent> = {};
      const joined = joinParts(event.entry, opened);
      for (const part of event.entry.parts) {
        const bytes = joined.get(part.name);
        if (!maySee(event.entry, part)) parts[part.name] = { state: 'withheld' };
        else if (!bytes) parts[part.name] = { state: 'erased' };
        else parts[part.name] = { state: 'present', content: JSON.parse(bytes.toString('utf8')) as never };
      }
      return { ...event, parts };
    });
  }

  /** How many events of the index match. */
  count(filter: Filter<IndexRow>): Promise<number> {
    return this.#index.countDocuments(filter);
  }

  /**
   * Salt and plaintext of the parts of these events, by `partKey`; what was erased is left out. Who may see them is decided
   * before this is asked. Throws LOG_INCONSISTENT where a part is not what its entry commits to.
   */
  openParts(events: readonly IndexedEvent[]): Promise<ReadonlyMap<string, OpenedPart>> {
    return this.#parts.open(events);
  }

  /** Salt and plaintext of each chunk of one part: what an outsider needs to check it against its commitments. */
  async disclose(event: IndexedEvent, name: string): Promise<Disclosure | undefined> {
    const positions = event.entry.parts.flatMap((part, position) => (part.name === name ? [position] : []));
    if (positions.length === 0) return undefined;
    const opened = await this.#parts.open([event]);
    const chunks = positions.map((position) => {
      const part = opened.get(`${event.entry.id}/${position}`);
      const { commitment } = event.entry.parts[position]!;
      return part && { commitment, salt: part.salt, plaintext: part.plaintext };
    });
    if (chunks.includes(undefined)) return { state: 'erased' };
    return { state: 'present', chunks: chunks as DisclosedChunk[] };
  }
}

export interface DisclosedChunk {
  /** As it stands in the entry: hex SHA-256(salt || plaintext). */
  readonly commitment: string;
  readonly salt: Buffer;
  readonly plaintext: Buffer;
}

export type Disclosure =
  | { readonly state: 'present'; readonly chunks: readonly DisclosedChunk[] }
  | { readonly state: 'erased' };

const indexed = (row: IndexRow): IndexedEvent => ({
  index: row._id,
  entry: parseEntry(row.entry.buffer),
  leafHash: Buffer.from(row.leaf.buffer),
  bytes: Buffer.from(row.entry.buffer),
  segment: row.segment,
});
