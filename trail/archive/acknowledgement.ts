/**
 * For an instance that demands it, a receipt leaves only when its entry is in the archive. The wait is bounded: where the
 * archive is away, the entries stand in the log without a receipt, and the same call later gives it. Changes of control
 * state don't wait, so that a kill switch, and giving up the demand, work while the archive is away.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { controlActions, type Action } from '../../schema/taxonomy.ts';
import { TrailError } from '../errors.ts';
import type { LogWriter } from '../writer.ts';
import { archivedSize } from './state.ts';

export interface ArchiveDemand {
  /** When a receipt leaves: when the log holds the entry, or when the archive does. */
  readonly acknowledge: 'log' | 'archive';
  readonly lagMsMax: number;
}

export interface AcknowledgementOptions {
  /** May read the cursors of the tails. */
  readonly client: MongoClient;
  readonly instance: InstanceId;
  readonly demand: () => Promise<ArchiveDemand | undefined>;
  /** How long a call waits for the archive at most. */
  readonly waitMsMax?: number;
}

const waitMsDefault = 20_000;
const pollMs = 25;
/** For how long a demand that was read counts. */
const demandMs = 1000;

/** Besides changes of control state: what says that one is void, and that the archive itself lags. */
const unwaited: ReadonlySet<Action> = new Set<Action>([...controlActions, 'control.void', 'archive.lag']);

interface Waiting {
  readonly size: number;
  readonly deadline: number;
  readonly settled: PromiseWithResolvers<void>;
}

/** Calls that wait for the archive of one instance: however many, the cursor is read once for all of them. */
class ArchiveWait {
  readonly #read: () => Promise<number>;
  readonly #waitMsMax: number;
  readonly #waiting = new Set<Waiting>();
  #polling = false;

  constructor(read: () => Promise<number>, waitMsMax: number) {
    this.#read = read;
    this.#waitMsMax = waitMsMax;
  }

  /** Once so many entries are archived. Throws ARCHIVE_BEHIND where that takes too long, and what reading failed with. */
  until(size: number): Promise<void> {
    const deadline = performance.now() + this.#waitMsMax;
    const settled = Promise.withResolvers<void>();
    this.#waiting.add({ size, deadline, settled });
    if (!this.#polling) void this.#poll();
    return settled.promise;
  }

  async #poll(): Promise<void> {
    this.#polling = true;
    while (this.#waiting.size > 0) {
      // Who comes while it is read may wait for more than what is read.
      const asked = [...this.#waiting];
      try {
        this.#settle(asked, await this.#read());
      } catch (error) {
        for (const one of asked) {
          this.#waiting.delete(one);
          one.settled.reject(error);
        }
      }
      if (this.#waiting.size > 0) await delay(pollMs);
    }
    this.#polling = false;
  }

  #settle(asked: readonly Waiting[], archived: number): void {
    const now = performance.now();
    for (const one of asked) {
      if (archived < one.size && now < one.deadline) continue;
      this.#waiting.delete(one);
      if (archived >= one.size) one.settled.resolve();
      else
        one.settled.reject(
          new TrailError(
            'ARCHIVE_BEHIND',
            'the events stand in the log, but not in the archive yet, which this instance demands; try again with the same ids',
          ),
        );
    }
  }
}

/** The same writer, whose `append` waits where the instance demands it. */
export const acknowledgeByArchive = (
  writer: LogWriter,
  { client, instance, demand, waitMsMax = waitMsDefault }: AcknowledgementOptions,
): LogWriter => {
  let read: { readonly at: number; readonly demand: Promise<ArchiveDemand | undefined> } | undefined;
  const demanded = async (): Promise<boolean> => {
    if (!read || performance.now() - read.at > demandMs) {
      const asked = { at: performance.now(), demand: demand() };
      read = asked;
      asked.demand.catch(() => {
        if (read === asked) read = undefined;
      });
    }
    return (await read.demand)?.acknowledge === 'archive';
  };
  const waiting = new ArchiveWait(() => archivedSize(client, instance), waitMsMax);
  const append = writer.append.bind(writer);
  writer.append = async (events, provenance, conditions) => {
    const results = await append(events, provenance, conditions);
    const ends = results.flatMap((result, position) =>
      result.status !== 'refused' && !unwaited.has(events[position]!.action) ? [result.receipt.index + 1] : [],
    );
    if (ends.length > 0 && (await demanded())) await waiting.until(Math.max(...ends));
    return results;
  };
  return writer;
};
