/**
 * Runs tails over the logs of many instances: each holds a lease, reads what a majority holds beyond its cursor,
 * applies it and moves the cursor. Idle logs are polled with back-off; `wake` ends the wait.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoServerError } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { majority } from '../database.ts';
import { TrailError } from '../errors.ts';
import { tailsOf } from '../projection.ts';
import { InstanceLog } from './instance-log.ts';
import { acquireLease, leaseMs, raiseFence, releaseLease } from './lease.ts';
import type { Tail } from './tail.ts';

const retryMs = 1000;

export interface TailRunnerOptions {
  /** Unique to the process. */
  readonly owner: string;
  readonly tails: readonly Tail[];
  /** Told of failures; the tail tries again by itself. */
  readonly onError: (tail: string, instance: InstanceId, error: unknown) => void;
}

/** A tail of one instance. */
interface Followed {
  readonly tail: Tail;
  readonly instance: InstanceId;
  /** Of its lease. */
  readonly id: string;
  readonly log: InstanceLog;
}

/** Where a tail stands, and under which fence it may move on. */
interface Place {
  readonly fence: number;
  readonly next: number;
}

export class TailRunner {
  readonly #options: TailRunnerOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #logs = new Map<InstanceId, InstanceLog>();
  readonly #stopping = new AbortController();

  constructor(options: TailRunnerOptions) {
    this.#options = options;
  }

  /** Begins with an instance; calling it again changes nothing. */
  follow(instance: InstanceId): void {
    const log = this.#logs.get(instance) ?? new InstanceLog(instance);
    this.#logs.set(instance, log);
    for (const tail of this.#options.tails) {
      const id = `${instance}/${tail.name}`;
      if (!this.#running.has(id)) this.#running.set(id, this.#run({ tail, instance, id, log }));
    }
  }

  /** Tells that something was appended to this log, so that its tails need not find out by polling. */
  wake(instance: InstanceId): void {
    this.#logs.get(instance)?.wake();
  }

  /** Finishes the batches that are being applied, and lets the leases go. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running.values());
  }

  async #run(followed: Followed): Promise<void> {
    const { tail, instance, id } = followed;
    const { owner, onError } = this.#options;
    while (!this.#stopping.signal.aborted) {
      try {
        const renewBy = performance.now() + leaseMs / 3;
        const fence = await acquireLease(tail.client, id, owner);
        const place = fence === undefined ? undefined : await this.#takeOver(followed, fence);
        if (place) await this.#goOn(followed, place, renewBy);
        else await this.#sleep(retryMs);
      } catch (error) {
        onError(tail.name, instance, error);
        await this.#sleep(retryMs);
      }
    }
    await releaseLease(tail.client, id, owner).catch(() => undefined);
  }

  /**
   * Takes the cursor under the fence of the lease. Where the cursor has seen a higher one, a newer owner has it (undefined),
   * or the lease itself was lost and began anew: then its fence is put above the cursor's, while the lease is still ours.
   */
  async #takeOver({ tail, instance, id }: Followed, fence: number): Promise<Place | undefined> {
    const next = await takeCursor(tail, instance, fence);
    if (next !== undefined) return { fence, next };
    const seen = await tailsOf(tail.client, instance).findOne({ _id: tail.name });
    if (!seen || seen.fence <= fence) return undefined;
    const raised = await raiseFence(tail.client, id, this.#options.owner, { from: fence, above: seen.fence });
    if (raised === undefined) return undefined;
    const lost = new TrailError('TRAIL_UNAVAILABLE', `the lease ${id} was lost; it begins anew with fence ${raised}`);
    this.#options.onError(tail.name, instance, lost);
    const taken = await takeCursor(tail, instance, raised);
    return taken === undefined ? undefined : { fence: raised, next: taken };
  }

  /** Until the lease is to be renewed, or was lost. */
  async #goOn({ tail, instance, log }: Followed, { fence, next: first }: Place, renewBy: number): Promise<void> {
    const stopping = this.#stopping.signal;
    let next = first;
    while (performance.now() < renewBy && !stopping.aborted) {
      const { entries, end } = await log.read(tail.client, next);
      if (end === next) {
        await log.idle(stopping);
        continue;
      }
      await tail.apply({ instance, first: next, entries });
      if (!(await moveCursor(tail, instance, fence, { from: next, to: end }))) return;
      next = end;
    }
  }

  async #sleep(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** The cursor, taken over under this fence; undefined where it has seen a higher one. */
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

/** Whether it was moved; not where the lease was lost meanwhile, or somebody set the cursor back. */
const moveCursor = async (
  tail: Tail,
  instance: InstanceId,
  fence: number,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<boolean> => {
  const moved = await tailsOf(tail.client, instance).updateOne(
    { _id: tail.name, fence, next: from },
    { $set: { next: to } },
    majority,
  );
  return moved.matchedCount === 1;
};
