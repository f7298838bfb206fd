/**
 * Signs and anchors checkpoints of a log as it grows, one at a time, each for all that was committed meanwhile.
 * Nothing is signed that a majority does not hold; no receipt leaves before its checkpoint is anchored.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { signCheckpoint } from '../domain/tree/checkpoint.ts';
import { AnchorConflict, type Anchor } from './anchor.ts';
import { TrailError, type TrailErrorCode } from './errors.ts';
import type { SigningSchedule } from './keys/signing-schedule.ts';
import type { LogHead } from './segments.ts';

interface Waiter {
  readonly size: number;
  resolve(checkpoint: string): void;
  reject(error: Error): void;
}

const giveUpMs = 30_000;
/** What no other attempt changes. */
const final: ReadonlySet<TrailErrorCode> = new Set<TrailErrorCode>(['LOG_FORKED', 'LOG_CLOSED']);
const retryMs = 100;

export class Anchoring {
  readonly #anchor: Anchor;
  readonly #schedule: SigningSchedule;
  #target: LogHead | undefined;
  #anchored: { size: number; note: string } | undefined;
  #waiters: Waiter[] = [];
  #running = false;
  #forked: TrailError | undefined;

  constructor(anchor: Anchor, schedule: SigningSchedule) {
    this.#anchor = anchor;
    this.#schedule = schedule;
  }

  /** Tells how far the log is committed. */
  committed(end: LogHead): void {
    if (!this.#target || end.size > this.#target.size) this.#target = end;
  }

  /** Whether this process knows that many entries to be committed. */
  reaches(size: number): boolean {
    return this.#target !== undefined && this.#target.size >= size;
  }

  /** The checkpoint that covers `size` entries, once it is anchored. `size` must have been committed. */
  async covering(size: number): Promise<string> {
    if (this.#forked) throw this.#forked;
    if (this.#anchored && this.#anchored.size >= size) return this.#anchored.note;
    if (!this.reaches(size)) throw new RangeError(`this process does not know of ${size} committed entries`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiters.push({ size, resolve, reject });
    if (!this.#running) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiters.length > 0) {
      const end = this.#target!;
      try {
        const signers = await this.#schedule.signersFor(end.size);
        const note = signCheckpoint({ origin: this.#schedule.origin, size: end.size, root: end.root }, signers);
        await this.#put({ size: end.size, note: note.toString(), segment: end.lastSegment });
        this.#anchored = { size: end.size, note: note.toString() };
        this.#settle(
          (waiter) => waiter.size <= end.size,
          (waiter) => waiter.resolve(note.toString()),
        );
      } catch (error) {
        const failure =
          error instanceof TrailError
            ? error
            : new TrailError('TRAIL_UNAVAILABLE', 'the checkpoint could not be anchored', { cause: error });
        if (failure instanceof AnchorConflict) this.#forked = failure;
        this.#settle(
          () => true,
          (waiter) => waiter.reject(failure),
        );
      }
    }
    this.#running = false;
  }

  async #put(checkpoint: { size: number; note: string; segment: number }): Promise<void> {
    const deadline = performance.now() + giveUpMs;
    for (;;) {
      try {
        return await this.#anchor.put(this.#schedule.origin, checkpoint);
      } catch (error) {
        if (error instanceof TrailError && final.has(error.code)) throw error;
        if (performance.now() > deadline) throw error;
        await delay(retryMs);
      }
    }
  }

  #settle(which: (waiter: Waiter) => boolean, settle: (waiter: Waiter) => void): void {
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (which(waiter)) settle(waiter);
      else this.#waiters.push(waiter);
    }
  }
}
