/**
 * The first half of an append: everything that does not depend on where the log ends. Duplicates and conflicts are
 * told apart, entries are made and hashed, and their parts encrypted. Documents of boxes beyond what one command takes
 * are written already (majority): a crash then leaves documents that no segment lists; nothing refers to them.
 */
import type { Collection, MongoClient } from 'mongodb';
import { eventIdTimeMs, type EventId, type InstanceId } from '../schema/ids.ts';
import type { AppendItem } from './append-item.ts';
import { boxesOf, sealDocument, type BoxDocument, type UnsealedBox } from './boxes.ts';
import { insertMissing } from './insert-missing.ts';
import { classMonthOf, dataKeyId, type DataKeyName } from './keys/derive.ts';
import type { Secrets } from './keys/secrets.ts';
import { inChunks, packParts } from './pack.ts';
import { idConflict, sentDigest, type Precedence, type Precedents } from './precedents.ts';
import { markLate, type SealedEvent, type Sealer } from './seal.ts';
import { hashLeaves, segmentBytesMax, type ListedBoxes } from './segments.ts';

/** Bytes of boxes that go into the segment's own command: with a segment, less than the 16 MiB of one message. */
const ridingBytesMax = 10 * 1024 * 1024;

export interface PreparedItem {
  readonly item: AppendItem;
  /** The same event sent again while this one was on its way. */
  readonly followers: readonly AppendItem[];
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
  /** All documents of boxes, as the segment lists them, and those of them that are to be written with the segment. */
  readonly boxes: readonly ListedBoxes[];
  readonly documents: readonly BoxDocument[];
  /** Items that did not fit; they go first into the next batch. */
  readonly rest: readonly AppendItem[];
}

interface Candidate {
  readonly item: AppendItem;
  followers: readonly AppendItem[];
  late: boolean;
}

const nobody: readonly AppendItem[] = [];

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
    // What stands in the log, before the numbers of this batch go on top of it.
    const highs = [...precedence.highs];
    const unprecedented = await this.#unprecedented(young, precedence, receivedMs);
    const candidates = await this.#sequenceChecked(unprecedented, precedence.highs);
    const [checked, sealings] = await Promise.all([
      this.#precedents.stillHolds(precedence, highs),
      this.#sealer.seal(
        candidates.map(({ item }) => item.unsealed),
        receivedMs,
      ),
    ]);
    const prepared: PreparedItem[] = [];
    const rest: AppendItem[] = [];
    let bytes = 0;
    for (let position = 0; position < candidates.length; position += 1) {
      const { item, followers, late } = candidates[position]!;
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
      ...(await this.#seal(prepared.map(({ sealed }) => sealed))),
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
  ): Promise<Candidate[]> {
    if (precedents.size > 0) await this.#settle(items, precedents, receivedMs);
    const first = new Map<EventId, Candidate>();
    for (const item of items) {
      const { id } = item.unsealed.event;
      if (precedents.has(id)) continue;
      const earlier = first.get(id);
      if (!earlier) {
        first.set(id, { item, followers: nobody, late: false });
      } else if (sentDigest(earlier.item) === sentDigest(item)) {
        earlier.followers = [...earlier.followers, item];
      } else {
        item.refuse(idConflict(id));
      }
    }
    return [...first.values()];
  }

  async #settle(items: readonly AppendItem[], precedents: Precedence['precedents'], receivedMs: number): Promise<void> {
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
  }

  /** Refuses sequence numbers that another event has; notes which ones fill a gap. */
  async #sequenceChecked(candidates: readonly Candidate[], highs: Map<string, number>): Promise<Candidate[]> {
    const inBatch = new NumbersTaken();
    const checked: Candidate[] = [];
    for (const candidate of candidates) {
      const { id, emitter } = candidate.item.unsealed.event;
      const high = highs.get(emitter.id) ?? 0;
      if (emitter.sequence <= high) {
        const holder = await this.#precedents.idAt(emitter);
        // Another process may have appended this very event since: that is told before the segment is built.
        if ((holder !== undefined && holder !== id) || inBatch.has(emitter, checked)) {
          const message = `number ${emitter.sequence} of the emitter ${emitter.id} stands in the log with another id`;
          for (const refused of [candidate.item, ...candidate.followers])
            refused.refuse({ code: 'SEQUENCE_CONFLICT', message });
          continue;
        }
        candidate.late = emitter.sequence < high;
      } else {
        highs.set(emitter.id, emitter.sequence);
      }
      checked.push(candidate);
    }
    return checked;
  }

  async #seal(events: readonly SealedEvent[]): Promise<Pick<PreparedBatch, 'boxes' | 'documents'>> {
    const packed = packParts(events);
    if (packed.length === 0) return { boxes: [], documents: [] };
    const names = new Map<string, DataKeyName>();
    for (const { of, boxes: subjects } of packed)
      for (const subject of subjects.keys()) names.set(dataKeyId({ ...of, subject }), { ...of, subject });
    const keys = await this.#secrets.dataKeys([...names.values()], { create: true });
    const boxes: ListedBoxes[] = [];
    const documents: BoxDocument[] = [];
    for (const { of, from, to, boxes: unsealed } of packed) {
      const id = classMonthOf(of);
      const list: UnsealedBox[] = [];
      for (const [subject, parts] of unsealed)
        list.push({ subject, dataKey: keys.get(dataKeyId({ ...of, subject }))!, parts });
      const document = sealDocument(this.#instance, id, list);
      documents.push(document);
      boxes.push({ id: document._id, of: id, from, to });
    }
    const chunks = inChunks(documents, ridingBytesMax);
    for (const early of chunks.slice(0, -1)) await insertMissing(this.#boxes, early);
    return { boxes, documents: chunks.at(-1)! };
  }
}

/** Numbers that a batch took already, collected once the first of them comes out of order. */
class NumbersTaken {
  readonly #taken = new Map<string, Set<number>>();
  #collected = 0;

  has(emitter: { id: string; sequence: number }, checked: readonly Candidate[]): boolean {
    for (; this.#collected < checked.length; this.#collected += 1) {
      const { id, sequence } = checked[this.#collected]!.item.unsealed.event.emitter;
      const numbers = this.#taken.get(id);
      if (numbers) numbers.add(sequence);
      else this.#taken.set(id, new Set([sequence]));
    }
    return this.#taken.get(emitter.id)?.has(emitter.sequence) ?? false;
  }
}
