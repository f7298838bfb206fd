/**
 * Runs tails over the logs of many instances: each holds a lease, reads what a majority holds beyond its cursor,
 * applies it and moves the cursor. Idle logs are polled with back-off; `wake` ends the wait.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoServerError } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { majority } from '../database.ts';
import { inconsistent, parseEntry, segmentEntries, segmentsOf } from '../segments.ts';
import { tailsOf } from '../projection.ts';
import { acquireLease, leaseMs, releaseLease } from './lease.ts';
import type { Tail, TailedEntry } from './tail.ts';

const idleMsMin = 10;
const idleMsMax = 250;
const retryMs = 1000;
const batchEntriesMax = 4000;
const batchBytesMax = 16 * 1024 * 1024;

export interface TailRunnerOptions {
  /** Unique to the process. */
  readonly owner: string;
  readonly tails: readonly Tail[];
  /** Told of failures; the tail tries again by itself. */
  readonly onError: (tail: string, instance: InstanceId, error: unknown) => void;
}

export class TailRunner {
  readonly #options: TailRunnerOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: TailRunnerOptions) {
    this.#options = options;
  }

  /** Begins with an instance; calling it again changes nothing. */
  follow(instance: InstanceId): void {
    for (const tail of this.#options.tails) {
      const id = `${instance}/${tail.name}`;
      if (!this.#running.has(id)) this.#running.set(id, this.#run(instance, tail, id));
    }
  }

  /** Finishes the batches that are being applied, and lets the leases go. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running.values());
  }

  async #run(instance: InstanceId, tail: Tail, id: string): Promise<void> {
    let idleMs = idleMsMin;
    while (!this.#stopping.signal.aborted) {
      try {
        const fence = await acquireLease(tail.client, id, this.#options.owner);
        if (fence === undefined) {
          await this.#sleep(retryMs);
          continue;
        }
        const renewBy = performance.now() + leaseMs / 3;
        const cursor = await takeCursor(tail, instance, fence);
        if (cursor === undefined) await this.#sleep(retryMs);
        let next = cursor;
        while (next !== undefined && performance.now() < renewBy && !this.#stopping.signal.aborted) {
          const moved = await step(tail, instance, fence, next);
          if (moved === next) {
            await this.#sleep(idleMs);
            idleMs = Math.min(idleMs * 1.5, idleMsMax);
          } else {
            idleMs = idleMsMin;
          }
          next = moved;
        }
      } catch (error) {
        this.#options.onError(tail.name, instance, error);
        await this.#sleep(retryMs);
      }
    }
    await releaseLease(tail.client, id, this.#options.owner).catch(() => undefined);
  }

  async #sleep(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** The cursor, taken over under this fence; undefined where a newer owner has it. */
const takeCursor = async (tail: Tail, instance: InstanceId, fence: number): Promise<number | undefined> => {
  const tails = tailsOf(tail.client, instance);
  try {
    const row = await tails.findOneAndUpdate(
      { _id: tail.name, fence: { $lte: fence } },
      { $set: { fence }, $setOnInsert: { next: 0 } },
      { upsert: true, returnDocument: 'after', writeConcern: majority.writeConcern },
    );
    return row?.next;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === 11_000) return undefined;
    throw error;
  }
};

/** Applies what follows `next`; returns the moved cursor, or undefined where the lease was lost meanwhile. */
const step = async (tail: Tail, instance: InstanceId, fence: number, next: number): Promise<number | undefined> => {
  const entries: TailedEntry[] = [];
  let end = next;
  let batchBytes = 0;
  for await (const segment of segmentsOf(tail.client, instance)
    .find({ _id: { $gte: next } })
    .sort({ _id: 1 })
    .batchSize(4)) {
    // A stray segment ahead of the end is not part of the log.
    if (segment._id !== end) break;
    for (const [position, bytes] of segmentEntries(segment).entries()) {
      const leaf = segment.leaves.buffer.subarray(32 * position, 32 * position + 32);
      entries.push({ index: end + position, bytes, leaf, entry: parseEntry(bytes), segment: segment._id });
    }
    if (segment.n < 1) throw inconsistent(segment._id, 'it is empty');
    end += segment.n;
    batchBytes += segment.entries.length();
    if (entries.length >= batchEntriesMax || batchBytes >= batchBytesMax) break;
  }
  if (end === next) return next;
  await tail.apply({ instance, first: next, entries });
  const moved = await tailsOf(tail.client, instance).updateOne(
    { _id: tail.name, fence, next },
    { $set: { next: end } },
    majority,
  );
  return moved.matchedCount === 1 ? end : undefined;
};
