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
  const waitArchived = async (size: number): Promise<void> => {
    const deadline = performance.now() + waitMsMax;
    while ((await archivedSize(client, instance)) < size) {
      if (performance.now() >= deadline)
        throw new TrailError(
          'ARCHIVE_BEHIND',
          'the events stand in the log, but not in the archive yet, which this instance demands; try again with the same ids',
        );
      await delay(pollMs);
    }
  };
  const append = writer.append.bind(writer);
  writer.append = async (events, provenance, conditions) => {
    const results = await append(events, provenance, conditions);
    const waiting = results.flatMap((result, position) =>
      result.status !== 'refused' && !unwaited.has(events[position]!.action) ? [result.receipt.index + 1] : [],
    );
    if (waiting.length > 0 && (await demanded())) await waitArchived(Math.max(...waiting));
    return results;
  };
  return writer;
};
