/**
 * One instance's log as the tails of a process read it: each batch is read and taken apart once for all of them, and while
 * there is nothing new, one poll with back-off serves all.
 */
import type { MongoClient } from 'mongodb';
import type { Entry } from '../../schema/event.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { inconsistent, parseEntry, segmentEntries, segmentsOf } from '../segments.ts';
import type { TailedEntry } from './tail.ts';

const idleMsMin = 10;
const idleMsMax = 250;
const batchEntriesMax = 4000;
const batchBytesMax = 16 * 1024 * 1024;
/** The last batch is kept for the other tails, if it is no larger. */
const keptBytesMax = 4 * 1024 * 1024;

export interface LogBatch {
  readonly entries: readonly TailedEntry[];
  /** Index after the last entry. */
  readonly end: number;
  readonly sizeBytes: number;
}

export class InstanceLog {
  readonly #instance: InstanceId;
  /** Being read, and the last one that was read, by first index. */
  readonly #batches = new Map<number, Promise<LogBatch>>();
  #idleMs = idleMsMin;
  #waiting: Promise<void> | undefined;
  #wakeUp: () => void = () => undefined;

  constructor(instance: InstanceId) {
    this.#instance = instance;
  }

  /** What follows `next`, of a bounded size; empty at the end of the log. `client` may read segments. */
  read(client: MongoClient, next: number): Promise<LogBatch> {
    const known = this.#batches.get(next);
    if (known) return known;
    const reading = this.#read(client, next);
    this.#batches.set(next, reading);
    return reading;
  }

  async #read(client: MongoClient, next: number): Promise<LogBatch> {
    try {
      const batch = await readBatch(client, this.#instance, next);
      // At the end of the log nothing is kept: an idle log costs no memory, and there may be more when somebody asks again.
      if (batch.end === next) this.#batches.clear();
      else if (batch.sizeBytes > keptBytesMax) this.#batches.delete(next);
      else for (const first of this.#batches.keys()) if (first < next) this.#batches.delete(first);
      if (batch.end > next) this.wake();
      return batch;
    } catch (error) {
      this.#batches.delete(next);
      throw error;
    }
  }

  /** Waits until there may be something new: until woken, or for a time that grows while nothing comes. */
  idle(stopping: AbortSignal): Promise<void> {
    if (stopping.aborted) return Promise.resolve();
    this.#waiting ??= this.#wait(stopping);
    return this.#waiting;
  }

  #wait(stopping: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => {
      clearTimeout(timer);
      stopping.removeEventListener('abort', end);
      this.#waiting = undefined;
      this.#wakeUp = () => undefined;
      resolve();
    };
    const timer = setTimeout(end, this.#idleMs);
    this.#idleMs = Math.min(this.#idleMs * 1.5, idleMsMax);
    stopping.addEventListener('abort', end);
    this.#wakeUp = end;
    return promise;
  }

  /** Something was appended. */
  wake(): void {
    this.#wakeUp();
    this.#idleMs = idleMsMin;
  }
}

/** Taken apart when somebody looks at it: a tail that needs the hash alone pays for nothing else. */
class LazyEntry implements TailedEntry {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly leaf: Uint8Array;
  readonly segment: number;
  #entry: Entry | undefined;

  constructor(index: number, bytes: Uint8Array, leaf: Uint8Array, segment: number) {
    this.index = index;
    this.bytes = bytes;
    this.leaf = leaf;
    this.segment = segment;
  }

  get entry(): Entry {
    return (this.#entry ??= parseEntry(this.bytes));
  }
}

const readBatch = async (client: MongoClient, instance: InstanceId, next: number): Promise<LogBatch> => {
  const entries: TailedEntry[] = [];
  let end = next;
  let sizeBytes = 0;
  const segments = segmentsOf(client, instance)
    .find({ _id: { $gte: next } })
    .sort({ _id: 1 })
    .batchSize(4);
  for await (const segment of segments) {
    // A stray segment ahead of the end is not part of the log.
    if (segment._id !== end) break;
    if (segment.n < 1) throw inconsistent(segment._id, 'it is empty');
    for (const [position, bytes] of segmentEntries(segment).entries()) {
      const leaf = segment.leaves.buffer.subarray(32 * position, 32 * position + 32);
      entries.push(new LazyEntry(end + position, bytes, leaf, segment._id));
    }
    end += segment.n;
    sizeBytes += segment.entries.length();
    if (entries.length >= batchEntriesMax || sizeBytes >= batchBytesMax) break;
  }
  return { entries, end, sizeBytes };
};
