/**
 * Appends to one instance's log. Concurrent callers share a batch; one segment is in flight at a time, while the next
 * batch is prepared and the last one's checkpoint is anchored. The order is the guarantee:
 *   1. boxes, and after them the segment, are with a majority; 2. only then the checkpoint is signed, 3. anchored outside the
 *   record's database, 4. and receipts leave.
 * A crash before 1 leaves nothing that is visible; between 1 and 4 the events stand in the log, unacknowledged, and
 * the caller's repetition is answered as a duplicate with a receipt.
 */
import type { Collection, MongoClient } from 'mongodb';
import { eventLimits, type EventInput } from '../schema/event.ts';
import type { InstanceId } from '../schema/ids.ts';
import type { Provenance } from '../schema/taxonomy.ts';
import type { Anchor } from './anchor.ts';
import { Anchoring } from './anchoring.ts';
import { Arena } from './arena.ts';
import { AppendCall, type AppendItem, type AppendResult } from './append-item.ts';
import { boxesOf } from './boxes.ts';
import { catchUp, insertSegment, type RecordCollections } from './commit.ts';
import { TrailError } from './errors.ts';
import type { Secrets } from './keys/secrets.ts';
import { SigningSchedule } from './keys/signing-schedule.ts';
import type { SigningKeys } from './keys/signing.ts';
import { anchoredHead, walkToEnd } from './log-end.ts';
import { PartReader } from './parts.ts';
import { Precedents } from './precedents.ts';
import { Preparation, type PreparedBatch } from './prepare.ts';
import { toUnsealed } from './plain-parts.ts';
import { Sealer } from './seal.ts';
import { buildSegment, segmentEntriesMax, segmentsOf, type LogHead, type SegmentDocument } from './segments.ts';
import type { Subjects } from './subjects.ts';
import { verifyRightEdge, type RightEdge } from './verification/right-edge.ts';

export interface WriterOptions {
  /** Events that may wait, and bytes of their payload. */
  readonly queueEventsMax: number;
  readonly queueBytesMax: number;
  readonly horizonMs: number;
  readonly nowMs: () => number;
  /** Called when a segment stands in the log, for tails in the same process. Must not throw. */
  readonly onAppended: () => void;
}

export const writerDefaults: WriterOptions = {
  queueEventsMax: 20_000,
  queueBytesMax: 128 * 1024 * 1024,
  horizonMs: eventLimits.horizonMsDefault,
  nowMs: Date.now,
  onAppended: () => undefined,
};

/** From this many waiting events on, the next batch is prepared while the last one is still being written. */
const prepareAheadFrom = 256;

export class LogWriter {
  readonly #options: WriterOptions;
  readonly #segments: Collection<SegmentDocument>;
  readonly #verifyEdge: (anchored: LogHead) => Promise<RightEdge>;
  readonly #record: RecordCollections;
  readonly #anchor: Anchor;
  readonly #schedule: SigningSchedule;
  readonly #anchoring: Anchoring;
  readonly #precedents: Precedents;
  readonly #preparation: Preparation;
  #queue: AppendItem[] = [];
  #queuedBytes = 0;
  readonly #queued = new Arena();
  /** The end of the log as this process knows it; changed only in the lane. */
  #head: LogHead | undefined;
  #running = false;
  #ahead: Promise<PreparedBatch | undefined> | undefined;

  constructor(
    instance: InstanceId,
    parts: {
      appender: MongoClient;
      anchor: Anchor;
      signing: SigningKeys;
      secrets: Secrets;
      subjects: Subjects;
    },
    options: Partial<WriterOptions> = {},
  ) {
    this.#options = { ...writerDefaults, ...options };
    this.#segments = segmentsOf(parts.appender, instance);
    this.#verifyEdge = (anchored) => verifyRightEdge(parts.appender, instance, anchored);
    this.#record = { segments: this.#segments, boxes: boxesOf(parts.appender, instance) };
    this.#anchor = parts.anchor;
    this.#schedule = new SigningSchedule(parts.signing);
    this.#anchoring = new Anchoring(parts.anchor, this.#schedule);
    this.#precedents = new Precedents(
      instance,
      parts.appender,
      new PartReader(instance, parts.secrets, parts.appender),
    );
    this.#preparation = new Preparation(
      instance,
      parts.appender,
      {
        sealer: new Sealer(instance, parts.secrets, parts.subjects),
        secrets: parts.secrets,
        precedents: this.#precedents,
      },
      this.#options,
    );
  }

  /**
   * Appends events that passed the event model; one result an event, in order. Resolves once all accepted ones are
   * with a majority and their checkpoint is anchored. Throws TrailError QUEUE_FULL before taking any of them, and
   * TRAIL_UNAVAILABLE where the fate of some is not known: the same call again, with the same ids, is then safe.
   * `ifControlEpoch`: append only while no control entry stands after this index (else STALE_CONTROL_EPOCH).
   */
  async append(
    events: readonly EventInput[],
    provenance: Provenance,
    conditions: { readonly ifControlEpoch?: number } = {},
  ): Promise<AppendResult[]> {
    const taken = events.map((event) => toUnsealed(event, provenance, this.#queued));
    const bytes = taken.reduce((sum, event) => sum + event.sizeBytes, 0);
    const { queueEventsMax, queueBytesMax } = this.#options;
    if (this.#queue.length + taken.length > queueEventsMax || this.#queuedBytes + bytes > queueBytesMax)
      throw new TrailError('QUEUE_FULL', 'too many events wait to be appended; try again later with the same ids');
    const call = new AppendCall(taken, conditions.ifControlEpoch);
    this.#queuedBytes += bytes;
    this.#enqueue(call.items);
    await call.settled;
    this.#queuedBytes -= bytes;
    if (call.failure) throw call.failure;
    return this.#results(call.items);
  }

  #enqueue(items: readonly AppendItem[]): void {
    if (items.length === 0) return;
    for (const item of items) this.#queue.push(item);
    if (!this.#running) void this.#run();
    else if (!this.#ahead && this.#queue.length >= prepareAheadFrom) this.#ahead = this.#prepareNext();
  }

  /** With receipts, once a checkpoint that covers all of them is anchored. */
  async #results(items: readonly AppendItem[]): Promise<AppendResult[]> {
    let size = 0;
    for (const { outcome } of items) if (outcome && 'index' in outcome) size = Math.max(size, outcome.index + 1);
    const checkpoint = size > 0 ? await this.#covering(size) : '';
    return items.map(({ unsealed, outcome }): AppendResult => {
      if (!outcome || outcome instanceof Error) throw new TypeError('an event of a settled call is not settled');
      if ('code' in outcome) return { status: 'refused', refusal: outcome };
      const { status, index, leafHash } = outcome;
      return { status, receipt: { id: unsealed.event.id, index, leafHash, checkpoint } };
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // Callers of the same turn of the event loop share the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#ahead) {
      // Kept where an enqueuing caller sees it, who would otherwise begin another one in its place.
      this.#ahead ??= this.#prepareNext();
      const batch = await this.#ahead;
      this.#ahead = this.#queue.length >= prepareAheadFrom ? this.#prepareNext() : undefined;
      if (batch) await this.#commit(batch);
    }
    this.#running = false;
  }

  /** Never rejects: where preparing fails, its items fail. */
  async #prepareNext(): Promise<PreparedBatch | undefined> {
    const items = this.#queue.splice(0, segmentEntriesMax);
    return this.#prepare(items);
  }

  async #prepare(items: readonly AppendItem[]): Promise<PreparedBatch | undefined> {
    try {
      await this.#requireHead();
      const batch = await this.#preparation.prepare(items);
      this.#queue.unshift(...batch.rest);
      return batch.items.length > 0 ? batch : undefined;
    } catch (error) {
      failAll(items, error);
      return undefined;
    }
  }

  #commit(batch: PreparedBatch): Promise<void> {
    return this.#inLane(() => this.#commitInLane(batch));
  }

  /** Settles every item of the batch. */
  async #commitInLane(first: PreparedBatch): Promise<void> {
    let batch: PreparedBatch | undefined = first;
    while (batch) {
      const items = batch.items.flatMap(({ item, followers }) => [item, ...followers]);
      try {
        const head = this.#head ?? (await this.#findHead());
        const stale = refuseStale(batch, head);
        if (stale.size > 0 || !this.#stillCurrent(batch)) {
          batch = await this.#prepare(items.filter((item) => !stale.has(item)));
          continue;
        }
        if (await this.#insert(batch, head)) return;
        batch = { ...batch, documents: [] };
      } catch (error) {
        // What stands in the log is not known any more: it is found anew before the next segment.
        this.#head = undefined;
        failAll(items, error);
        return;
      }
    }
  }

  /** Whether what the batch was checked for still holds at the end of the log, which the window reaches. */
  #stillCurrent(batch: PreparedBatch): boolean {
    const { recent, generation } = this.#precedents;
    // Entries that came after the check may have left the window already, for the index.
    if (!batch.checked || batch.generation !== generation || recent.from > batch.checkedTo) return false;
    if (recent.end === batch.checkedTo) return true;
    return batch.items.every(({ item, late }) => {
      const { id, emitter } = item.unsealed.event;
      if (recent.indexOf(id) !== undefined) return false;
      return late ? recent.idAt(emitter) === undefined : recent.high(emitter.id) < emitter.sequence;
    });
  }

  async #insert(batch: PreparedBatch, head: LogHead): Promise<boolean> {
    const { segment, next } = buildSegment(head, {
      entries: batch.items.map(({ sealed }) => sealed.bytes),
      leaves: batch.leaves,
      lastControl: batch.items.findLastIndex(({ sealed }) => sealed.isControl),
      boxes: batch.boxes,
    });
    if ((await insertSegment(this.#record, segment, batch.documents)) === 'lost') {
      await this.#catchUp(head);
      return false;
    }
    this.#head = next;
    const events = batch.items.map(({ item }) => item.unsealed.event);
    this.#precedents.recent.add(segment._id, events);
    this.#schedule.observe(segment._id, events);
    this.#anchoring.committed(next);
    this.#options.onAppended();
    for (let position = 0; position < batch.items.length; position += 1) {
      const { item, followers } = batch.items[position]!;
      const index = segment._id + position;
      const leafHash = batch.leaves.toString('hex', 32 * position, 32 * position + 32);
      item.place({ status: 'accepted', index, leafHash });
      for (const follower of followers) follower.place({ status: 'duplicate', index, leafHash });
    }
    return true;
  }

  /** The checkpoint over `size` entries; the last of them may be another process's, just found in the index. */
  async #covering(size: number): Promise<string> {
    try {
      if (!this.#anchoring.reaches(size))
        await this.#inLane(async () => {
          if (!this.#anchoring.reaches(size)) await this.#catchUp(this.#head);
        });
      return await this.#anchoring.covering(size);
    } catch (error) {
      throw failureOf(error);
    }
  }

  async #catchUp(head: LogHead | undefined): Promise<void> {
    if (!head) return void (await this.#findHead());
    try {
      this.#head = await catchUp(this.#segments, head, this.#precedents.recent, (first, entries) =>
        this.#schedule.observe(first, entries),
      );
    } catch (error) {
      // The window may have grown past the head: both are found anew.
      this.#head = undefined;
      throw error;
    }
    this.#anchoring.committed(this.#head);
  }

  /** The end of the log: from memory, or found by walking from the anchor. */
  async #requireHead(): Promise<void> {
    if (!this.#head) await this.#inLane(async () => this.#head ?? this.#findHead());
  }

  async #findHead(): Promise<LogHead> {
    const anchored = await anchoredHead(this.#segments, this.#anchor, this.#schedule);
    const edge = await this.#verifyEdge(anchored);
    const head = await walkToEnd(this.#segments, anchored, ({ _id }, entries) => this.#schedule.observe(_id, entries));
    this.#precedents.reset(head.size, edge);
    this.#anchoring.committed(head);
    this.#head = head;
    return head;
  }

  #lane: Promise<unknown> = Promise.resolve();

  /** One at a time: whatever moves the head. */
  #inLane<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#lane.then(work);
    this.#lane = done.catch(() => undefined);
    return done;
  }
}

/** Refuses the items before which a control entry would stand that they did not know, in the log or in the batch. */
const refuseStale = (batch: PreparedBatch, head: LogHead): ReadonlySet<AppendItem> => {
  const stale = new Set<AppendItem>();
  let epoch = head.controlEpoch;
  for (const [position, { item, followers, sealed }] of batch.items.entries()) {
    for (const one of [item, ...followers]) {
      if (one.ifControlEpoch === undefined || epoch <= one.ifControlEpoch) continue;
      stale.add(one);
      one.refuse({
        code: 'STALE_CONTROL_EPOCH',
        message: `control state changed at ${epoch}, after the decision was made; decide again`,
      });
    }
    if (sealed.isControl && !stale.has(item)) epoch = head.size + position;
  }
  return stale;
};

const failureOf = (error: unknown): TrailError =>
  error instanceof TrailError
    ? error
    : new TrailError('TRAIL_UNAVAILABLE', 'the log can not be written now; try again with the same ids', {
        cause: error,
      });

const failAll = (items: readonly AppendItem[], error: unknown): void => {
  const failure = failureOf(error);
  for (const item of items) item.fail(failure);
};
