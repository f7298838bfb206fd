/**
 * The first half of an append: everything that does not depend on where the log ends. Duplicates and conflicts are
 * told apart, entries are made and hashed, and their parts encrypted. Documents of boxes beyond what one command takes
 * are written already (majority): a crash then leaves documents that no segment lists; nothing refers to them.
 */
import type { Collection, MongoClient } from 'mongodb';
import { eventIdTimeMs, type EventId, type InstanceId } from '../schema/ids.ts';
import type { AppendItem } from './append-item.ts';
import { boxesOf, sealDocument, type BoxDocument } from './boxes.ts';
import { insertMissing } from './insert-missing.ts';
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
  /** All documents of boxes, as the segment lists them, and those of them that are to be written with the segment. */
  readonly boxes: readonly ListedBoxes[];
  readonly documents: readonly BoxDocument[];
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

  async #seal(events: readonly SealedEvent[]): Promise<Pick<PreparedBatch, 'boxes' | 'documents'>> {
    const packed = packParts(events);
    if (packed.length === 0) return { boxes: [], documents: [] };
    const names = new Map(packed.flatMap(({ boxes }) => [...boxes.values()].map(({ key, name }) => [key, name])));
    const keys = await this.#secrets.dataKeys([...names.values()], { create: true });
    const boxes: ListedBoxes[] = [];
    const documents: BoxDocument[] = [];
    for (const { of, from, to, boxes: unsealed } of packed) {
      const document = sealDocument(
        this.#instance,
        of,
        [...unsealed.values()].map(({ key, name, parts }) => ({
          subject: name.subject,
          dataKey: keys.get(key)!,
          parts,
        })),
      );
      documents.push(document);
      boxes.push({ id: document._id, of, from, to });
    }
    const chunks = inChunks(documents, ridingBytesMax);
    for (const early of chunks.slice(0, -1)) await insertMissing(this.#boxes, early);
    return { boxes, documents: chunks.at(-1)! };
  }
}
