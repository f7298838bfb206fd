/**
 * The first half of an append: everything that does not depend on where the log ends. Duplicates and conflicts are
 * told apart, entries are made and hashed, and the boxes are written (majority). A crash here leaves boxes that no
 * segment lists; nothing refers to them.
 */
import type { Collection, MongoClient } from 'mongodb';
import { eventLimits } from '../schema/event.ts';
import { eventIdTimeMs, type EventId, type InstanceId } from '../schema/ids.ts';
import type { AppendItem } from './append-item.ts';
import { sealBox, splitForBoxes, type BoxDocument } from './boxes.ts';
import { insertMissing } from './insert-missing.ts';
import type { Secrets } from './keys/secrets.ts';
import { boxesOf } from './parts.ts';
import { idConflict, sentDigest, type Precedence, type Precedents } from './precedents.ts';
import { groupByKey, markLate, type SealedEvent, type Sealer } from './seal.ts';
import { hashLeaves, segmentBytesMax, type SegmentDocument } from './segments.ts';

export interface PreparedItem {
  readonly item: AppendItem;
  /** The same event sent again while this one was on its way. */
  readonly followers: AppendItem[];
  readonly sealed: SealedEvent;
  /** Whether it fills a gap that was named before. */
  readonly late: boolean;
}

export interface PreparedBatch {
  /** Of the precedents that the batch was checked against; see Precedents.generation. */
  readonly generation: number;
  /** It was checked against all entries before this index. */
  readonly checkedTo: number;
  /** Whether the index was there while the batch was checked. */
  readonly checked: boolean;
  readonly items: readonly PreparedItem[];
  readonly leaves: Buffer;
  readonly boxes: SegmentDocument['boxes'];
  /** Items that did not fit; they go first into the next batch. */
  readonly rest: readonly AppendItem[];
}

interface Candidate {
  readonly item: AppendItem;
  readonly followers: AppendItem[];
  readonly late: boolean;
}

export class Preparation {
  readonly #instance: InstanceId;
  readonly #sealer: Sealer;
  readonly #secrets: Secrets;
  readonly #precedents: Precedents;
  readonly #boxes: Collection<BoxDocument>;
  readonly #horizonMs: number;
  readonly #nowMs: () => number;

  constructor(
    instance: InstanceId,
    client: MongoClient,
    parts: { sealer: Sealer; secrets: Secrets; precedents: Precedents },
    options: { horizonMs: number; nowMs: () => number },
  ) {
    this.#instance = instance;
    this.#sealer = parts.sealer;
    this.#secrets = parts.secrets;
    this.#precedents = parts.precedents;
    this.#boxes = boxesOf(client, instance);
    this.#horizonMs = options.horizonMs;
    this.#nowMs = options.nowMs;
  }

  /** Settles the items that are not to be appended, and prepares the others. */
  async prepare(items: readonly AppendItem[]): Promise<PreparedBatch> {
    const receivedMs = this.#nowMs();
    const { generation } = this.#precedents;
    const young = items.filter((item) => this.#isYoung(item, receivedMs));
    const precedence = await this.#precedents.find(young.map((item) => item.unsealed.event));
    const unprecedented = await this.#unprecedented(young, precedence, receivedMs);
    const candidates = await this.#sequenceChecked(unprecedented, precedence.highs);
    const [checked, sealings] = await Promise.all([
      this.#precedents.stillHolds(precedence),
      this.#sealer.seal(
        candidates.map(({ item }) => item.unsealed),
        receivedMs,
      ),
    ]);
    const prepared: PreparedItem[] = [];
    const rest: AppendItem[] = [];
    let bytes = 0;
    for (const [position, { item, followers, late }] of candidates.entries()) {
      const sealing = sealings[position]!;
      if ('refusal' in sealing) {
        for (const refused of [item, ...followers]) refused.refuse(sealing.refusal);
        continue;
      }
      const sealed = late ? markLate(sealing.sealed) : sealing.sealed;
      bytes += sealed.bytes.length + 2;
      if (bytes > segmentBytesMax) rest.push(item, ...followers);
      else prepared.push({ item, followers, sealed, late });
    }
    return {
      generation,
      checkedTo: precedence.checkedTo,
      checked,
      items: prepared,
      leaves: hashLeaves(prepared.map(({ sealed }) => sealed.bytes)),
      boxes: await this.#writeBoxes(prepared.map(({ sealed }) => sealed)),
      rest,
    };
  }

  #isYoung(item: AppendItem, nowMs: number): boolean {
    const { id } = item.unsealed.event;
    if (eventIdTimeMs(id) >= nowMs - this.#horizonMs) return true;
    const days = this.#horizonMs / 86_400_000;
    item.refuse({ code: 'ID_TOO_OLD', message: `the time in the id ${id} is more than ${days} days ago` });
    return false;
  }

  /** Items without a precedent, each with the repetitions of it in the same batch. The others are settled. */
  async #unprecedented(
    items: readonly AppendItem[],
    { precedents }: Precedence,
    receivedMs: number,
  ): Promise<Omit<Candidate, 'late'>[]> {
    const repeated = items.filter((item) => precedents.has(item.unsealed.event.id));
    const sealings = await this.#sealer.seal(
      repeated.map((item) => item.unsealed),
      receivedMs,
    );
    await this.#precedents.settle(
      repeated.map((item, position) => ({
        item,
        sealing: sealings[position]!,
        precedent: precedents.get(item.unsealed.event.id)!,
      })),
    );
    const first = new Map<EventId, Omit<Candidate, 'late'>>();
    for (const item of items) {
      const { id } = item.unsealed.event;
      if (precedents.has(id)) continue;
      const earlier = first.get(id);
      if (!earlier) {
        first.set(id, { item, followers: [] });
      } else if (sentDigest(earlier.item) === sentDigest(item)) {
        earlier.followers.push(item);
      } else {
        item.refuse(idConflict(id));
      }
    }
    return [...first.values()];
  }

  /** Refuses sequence numbers that another event has; notes which ones fill a gap. */
  async #sequenceChecked(
    candidates: readonly Omit<Candidate, 'late'>[],
    highs: Map<string, number>,
  ): Promise<Candidate[]> {
    const inBatch = new Set<string>();
    const checked: Candidate[] = [];
    for (const { item, followers } of candidates) {
      const { id, emitter } = item.unsealed.event;
      const key = `${emitter.sequence}/${emitter.id}`;
      const high = highs.get(emitter.id) ?? 0;
      const holder = emitter.sequence <= high ? await this.#precedents.idAt(emitter) : undefined;
      // Another process may have appended this very event since: that is told before the segment is built.
      if (inBatch.has(key) || (holder !== undefined && holder !== id)) {
        const message = `number ${emitter.sequence} of the emitter ${emitter.id} stands in the log with another id`;
        for (const refused of [item, ...followers]) refused.refuse({ code: 'SEQUENCE_CONFLICT', message });
        continue;
      }
      inBatch.add(key);
      checked.push({ item, followers, late: emitter.sequence < high });
      if (emitter.sequence > high) highs.set(emitter.id, emitter.sequence);
    }
    return checked;
  }

  async #writeBoxes(events: readonly SealedEvent[]): Promise<SegmentDocument['boxes']> {
    const groups = groupByKey(events);
    if (groups.size === 0) return [];
    const keys = await this.#secrets.dataKeys(
      [...groups.values()].map(({ name }) => name),
      { create: true },
    );
    const boxes = [...groups].flatMap(([key, { parts }]) =>
      splitForBoxes(parts).map((list) => sealBox(this.#instance, key, keys.get(key)!, list)),
    );
    for (const chunk of inBatchesOf(boxes)) await insertMissing(this.#boxes, chunk);
    return boxes.map((box) => ({ id: box._id, key: box.key }));
  }
}

/** Lists of boxes of which each fits one insert command (48 MB). */
function* inBatchesOf(boxes: readonly BoxDocument[]): Generator<BoxDocument[]> {
  let batch: BoxDocument[] = [];
  let bytes = 0;
  for (const box of boxes) {
    const size = box.ciphertext.length() + box.events.length() + 256;
    if (batch.length > 0 && bytes + size > 3 * eventLimits.eventPartsBytesMax) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(box);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
