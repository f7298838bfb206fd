/**
 * Copies logs into their archives: under a lease like every tail, from anchored checkpoint to anchored checkpoint. What
 * is new is gathered for a bounded time, so that a trickle does not make an object an entry. After a crash at any step the
 * next owner finds the planned range in the cursor's row, and writes the same objects again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { NoteKey } from '../../domain/tree/note.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { mongoAnchor, type AnchoredCheckpoint } from '../anchor.ts';
import { archiveRange } from '../archive/archive-range.ts';
import { ArchiveError } from '../archive/errors.ts';
import { loadHead, type ArchivedHead } from '../archive/head.ts';
import { extendLocks } from '../archive/locks.ts';
import { newestRowTime } from '../archive/record.ts';
import { seenRows, type SeenRows } from '../archive/seen-rows.ts';
import { archiveRowsOf, archiveTail, changeArchiveRow, takeArchiveRow, type ArchiveRow } from '../archive/state.ts';
import type { ArchiveStore } from '../archive/store.ts';
import { TrailError } from '../errors.ts';
import { parseEntry, segmentEntries, segmentsOf } from '../segments.ts';
import { acquireLease, leaseMs, raiseFence, releaseLease } from './lease.ts';

/** What the archive of one instance is made of. */
export interface ArchivedInstance {
  /** A promise while it is being opened; rejected where it can't be: the rest is known all the same, and the lag is told. */
  readonly store: ArchiveStore | Promise<ArchiveStore>;
  /** Of the log as it goes on now. */
  readonly origin: string;
  /** Every key that signed checkpoints of it, under this origin or a former one. */
  readonly keys: readonly NoteKey[];
  /** New entries are archived at the latest after this time; 0: at once. */
  readonly gatherMs: number;
  /** Lag from which on an alarm is raised. */
  readonly lagMsMax: number;
  /** For how long objects are locked, where the storage has locks; absent, locks are left as they are. */
  readonly lockMs?: number;
}

/** Too far behind, or no more. The same values for the same report, also after a crash. */
export interface LagReport {
  readonly state: 'behind' | 'recovered';
  readonly instance: InstanceId;
  /** The first entry that was not archived when the alarm was raised, and when it was received. */
  readonly index: number;
  readonly sinceMs: number;
}

export interface ArchiveTailOptions {
  /** Unique to the process. */
  readonly owner: string;
  /** Archiver duty. */
  readonly client: MongoClient;
  /** Asked again at each round, since what it says may change; undefined where the instance is not to be archived. */
  readonly open: (instance: InstanceId) => Promise<ArchivedInstance | undefined>;
  /** Records that the lag is too great, and that it is no more; at least once, and again while it throws. */
  readonly onLag: (report: LagReport) => Promise<void>;
  /** Told of failures; the tail tries again by itself. */
  readonly onError: (tail: string, instance: InstanceId, error: unknown) => void;
  readonly nowMs: () => number;
}

/** A longer range is cut where a checkpoint was anchored. */
const rangeEntriesMax = 8192;
/** From so many entries on, nothing more is waited for. */
const rangeEntriesEnough = 4096;
const pollMs = 200;
const retryMs = 1000;
/** How much of the time to gather is left for writing. */
const gatherShare = 0.8;

interface Round {
  readonly row: ArchiveRow;
  readonly archived: ArchivedInstance;
}

export class ArchiveTail {
  readonly #options: ArchiveTailOptions;
  readonly #running = new Map<InstanceId, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: ArchiveTailOptions) {
    this.#options = options;
  }

  /** Begins with an instance; calling it again changes nothing. */
  follow(instance: InstanceId): void {
    if (!this.#running.has(instance)) this.#running.set(instance, this.#run(instance));
  }

  /** Finishes the ranges that are being written, and lets the leases go. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running.values());
  }

  async #run(instance: InstanceId): Promise<void> {
    const { owner, client, onError } = this.#options;
    const id = `${instance}/${archiveTail}`;
    const log = new FollowedLog(instance, this.#options);
    while (!this.#stopping.signal.aborted) {
      try {
        const fence = await acquireLease(client, id, owner);
        const row = fence === undefined ? undefined : await this.#takeOver(instance, id, fence);
        if (!row) {
          log.forget();
          await this.#sleep(retryMs);
          continue;
        }
        // A range may take longer than a lease lasts.
        const renewing = setInterval(() => void acquireLease(client, id, owner).catch(() => undefined), leaseMs / 3);
        try {
          await this.#rounds(log, row);
        } finally {
          clearInterval(renewing);
        }
      } catch (error) {
        log.forget();
        onError(archiveTail, instance, error);
        await this.#sleep(retryMs);
      }
    }
    await releaseLease(client, id, owner).catch(() => undefined);
  }

  /** The row under the fence of the lease; a lease that was lost is put above what the row has seen (see runner.ts). */
  async #takeOver(instance: InstanceId, id: string, fence: number): Promise<ArchiveRow | undefined> {
    const { owner, client, onError } = this.#options;
    const row = await takeArchiveRow(client, instance, fence);
    if (row) return row;
    const seen = await archiveRowsOf(client, instance).findOne({ _id: archiveTail });
    if (!seen || seen.fence <= fence) return undefined;
    const raised = await raiseFence(client, id, owner, { from: fence, above: seen.fence });
    if (raised === undefined) return undefined;
    const lost = new TrailError('TRAIL_UNAVAILABLE', `the lease ${id} was lost; it begins anew with fence ${raised}`);
    onError(archiveTail, instance, lost);
    return takeArchiveRow(client, instance, raised);
  }

  /** Rounds until the lease is to be looked at again. */
  async #rounds(log: FollowedLog, taken: ArchiveRow): Promise<void> {
    const until = performance.now() + leaseMs / 3;
    let row: ArchiveRow | undefined = taken;
    while (row && performance.now() < until && !this.#stopping.signal.aborted) {
      const archived = await this.#options.open(log.instance);
      if (!archived) return this.#sleep(retryMs);
      let moved: ArchiveRow | undefined;
      try {
        moved = await log.round({ row, archived });
      } catch (error) {
        // What is away makes the lag grow: it is told of all the same.
        await log.report({ row, archived });
        throw error;
      }
      row = moved && (await log.report({ row: moved, archived }));
      row &&= await log.lock({ row, archived }, this.#stopping.signal);
      if (row?.next === taken.next) await this.#sleep(pollMs);
      if (row) taken = row;
    }
  }

  async #sleep(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** One log, as its owner archives it. */
class FollowedLog {
  readonly instance: InstanceId;
  readonly #options: ArchiveTailOptions;
  /** The head that the cursor stands at, and the rows that the archive holds; undefined until they are loaded. */
  #at: { readonly head: ArchivedHead; readonly seen: SeenRows } | undefined;
  /** When the first entry that is not archived was received. */
  #first: { readonly index: number; readonly receivedMs: number } | undefined;

  constructor(instance: InstanceId, options: ArchiveTailOptions) {
    this.instance = instance;
    this.#options = options;
  }

  forget(): void {
    this.#at = undefined;
  }

  /** Archives what is due. Gives the row as it is then, undefined where another owner has taken over. */
  async round({ row, archived }: Round): Promise<ArchiveRow | undefined> {
    const { client } = this.#options;
    const planned = row.planned ?? (await this.#plan(row, archived));
    if (!planned) return row;
    const { fence, next } = row;
    if (!row.planned && !(await changeArchiveRow(client, this.instance, { fence, next }, { planned })))
      return undefined;
    const checkpoint = await this.#anchored(archived.origin, planned.size);
    const { head, seen } = await this.#load(archived, next);
    const { origin, keys } = archived;
    const store = await archived.store;
    const { instance } = this;
    const { rowsThrough } = planned;
    const after = await archiveRange(store, head, { instance, client, origin, keys, checkpoint, rowsThrough, seen });
    this.#at = { head: after, seen };
    const change = { next: planned.size, planned: null };
    if (!(await changeArchiveRow(client, this.instance, { fence, next }, change))) return undefined;
    const { planned: _done, ...rest } = row;
    return { ...rest, next: planned.size };
  }

  async #load(archived: ArchivedInstance, size: number) {
    if (this.#at?.head.log.size === size) return this.#at;
    const { keys } = archived;
    const store = await archived.store;
    const head = await loadHead(store, size, { kind: 'trusted', keys });
    this.#at = { head, seen: await seenRows(store, head) };
    return this.#at;
  }

  /** The next range, once it is long enough or was waited for long enough. */
  async #plan({ next }: ArchiveRow, archived: ArchivedInstance): Promise<ArchiveRow['planned']> {
    const anchor = mongoAnchor(this.#options.client);
    const latest = await anchor.latest(archived.origin);
    if (!latest || latest.size <= next) return undefined;
    if (latest.size - next < rangeEntriesEnough) {
      const { receivedMs } = await this.#firstUnarchived(next);
      if (this.#options.nowMs() - receivedMs < archived.gatherMs * gatherShare) return undefined;
    }
    let size = latest.size;
    if (size - next > rangeEntriesMax) {
      const found = await anchor.from(archived.origin, next + 1, 1000);
      size = (found.findLast((one) => one.size <= next + rangeEntriesMax) ?? found[0])!.size;
    }
    const { head } = await this.#load(archived, next);
    const since = head.last?.manifest.rowsThrough ?? { t: 0, i: 0 };
    return { size, rowsThrough: await newestRowTime(this.#options.client, this.instance, since) };
  }

  async #anchored(origin: string, size: number): Promise<AnchoredCheckpoint> {
    const [found] = await mongoAnchor(this.#options.client).from(origin, size, 1);
    if (found?.size === size) return found;
    throw new ArchiveError(
      'ARCHIVE_DIVERGED',
      `the checkpoint of size ${size} that was to be archived is not anchored`,
    );
  }

  async #firstUnarchived(index: number): Promise<{ index: number; receivedMs: number }> {
    if (this.#first?.index === index) return this.#first;
    const segment = await segmentsOf(this.#options.client, this.instance).findOne({ _id: index });
    const [bytes] = segment ? segmentEntries(segment) : [];
    // What is wrong with the record shows where it is archived; here it is only about time.
    const receivedMs = bytes ? Date.parse(parseEntry(bytes).receivedTime) : this.#options.nowMs();
    this.#first = { index, receivedMs };
    return this.#first;
  }

  /** Extends the objects' locks before they end: looks through them three times in the life of one. */
  async lock({ row, archived }: Round, signal: AbortSignal): Promise<ArchiveRow | undefined> {
    const { lockMs } = archived;
    const { client, nowMs } = this.#options;
    const now = nowMs();
    if (lockMs === undefined || now - (row.locksAt?.getTime() ?? 0) < lockMs / 3) return row;
    const store = await archived.store;
    if (!store.lock) return row;
    const until = new Date(now + lockMs);
    const dueBefore = new Date(now + (lockMs * 2) / 3);
    await extendLocks(store, { until, dueBefore, signal });
    if (signal.aborted) return row;
    const { fence, next } = row;
    const locksAt = new Date(now);
    return (await changeArchiveRow(client, this.instance, { fence, next }, { locksAt }))
      ? { ...row, locksAt }
      : undefined;
  }

  /** Raises the alarm, once, where the lag is too great, and says when it is over. */
  async report({ row, archived }: Round): Promise<ArchiveRow | undefined> {
    const { client, onLag, nowMs } = this.#options;
    const { instance } = this;
    const { fence, next, alarm } = row;
    const latest = await mongoAnchor(client).latest(archived.origin);
    const behind = latest !== undefined && latest.size > next;
    const lagMs = behind ? nowMs() - (await this.#firstUnarchived(next)).receivedMs : 0;
    if (alarm === undefined) {
      if (lagMs <= archived.lagMsMax) return row;
      const { receivedMs } = await this.#firstUnarchived(next);
      await onLag({ state: 'behind', instance, index: next, sinceMs: receivedMs });
      const raised = await changeArchiveRow(client, instance, { fence, next }, { alarm: next });
      return raised ? { ...row, alarm: next } : undefined;
    }
    if (lagMs > archived.lagMsMax || next <= alarm) return row;
    const { receivedMs } = await this.#firstUnarchived(alarm);
    await onLag({ state: 'recovered', instance, index: alarm, sinceMs: receivedMs });
    if (!(await changeArchiveRow(client, instance, { fence, next }, { alarm: null }))) return undefined;
    const { alarm: _over, ...rest } = row;
    return rest;
  }
}
