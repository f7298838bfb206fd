/** Which runs reported events say that they belong to: there must be such a run, and it takes no new events once closed. */
import { runEmitter } from '../../domain/action/entryIds.ts';
import type { EventInput } from '../../schema/event.ts';
import type { CorrelationId, EventId, RunId } from '../../schema/ids.ts';
import type { TrailReader } from '../../trail/reader.ts';
import { ApiError, type ApiErrorCode } from '../errors.ts';
import { extentOf } from './query.ts';

export interface RefusedRun {
  readonly code: Extract<ApiErrorCode, 'BAD_INPUT' | 'RUN_CLOSED'>;
  readonly message: string;
}

interface KnownRun {
  readonly correlationId: CorrelationId;
  readonly closed: boolean;
}

/**
 * Why the event can't be recorded for its run; undefined where it can. A closed run takes what its emitters had numbered
 * before their last event, so that gaps can be filled and what was sent be sent again.
 */
export type CheckRun = (event: EventInput) => RefusedRun | undefined;

/** One look-up for all runs of the events. Throws TRAIL_UNAVAILABLE where the index does not tell yet. */
export const runCheckOf = async (reader: TrailReader, events: readonly EventInput[]): Promise<CheckRun> => {
  const ids = [...new Set(events.flatMap(({ runId }) => runId ?? []))];
  if (ids.length === 0) return () => undefined;
  const runs = await knownRuns(reader, ids);
  const late = events.filter(({ runId }) => runId !== undefined && runs.get(runId)?.closed);
  const highs = await highestOf(reader, [...new Set(late.map(({ emitter }) => emitter.id))]);
  return ({ runId, correlationId, emitter }) => {
    if (runId === undefined) return undefined;
    const known = runs.get(runId);
    if (known === undefined) return { code: 'BAD_INPUT', message: 'runId: no run of this instance has this id' };
    if (known.correlationId !== correlationId)
      return { code: 'BAD_INPUT', message: "correlationId: not that of the run that runId names; take the run's own" };
    if (!known.closed || emitter.sequence <= (highs.get(emitter.id) ?? 0)) return undefined;
    return {
      code: 'RUN_CLOSED',
      message: 'runId: the run is closed, and takes only what fills a gap of its emitter; open a new run',
    };
  };
};

/** Absence counts only where the index holds all that was acknowledged. */
const knownRuns = async (reader: TrailReader, ids: readonly RunId[]): Promise<Map<RunId, KnownRun>> => {
  const found = await lookUp(reader, ids);
  if (found.size === ids.length) return found;
  const { behind } = await extentOf(reader);
  const again = await lookUp(reader, ids);
  if (again.size < ids.length && behind > 0)
    throw new ApiError('TRAIL_UNAVAILABLE', `the index is ${behind} entries behind; send the events again`);
  return again;
};

/** Under a run's own emitter stand its opening and its closings, and nothing else. */
const lookUp = async (reader: TrailReader, ids: readonly RunId[]): Promise<Map<RunId, KnownRun>> => {
  const entries = await reader.find(
    { emitter: { $in: ids.map((id) => runEmitter(id as string as EventId)) }, seq: { $lte: 2 } },
    { limit: 2 * ids.length },
  );
  const closed = new Set(entries.flatMap(({ entry }) => (entry.action === 'run.close' ? (entry.runId ?? []) : [])));
  return new Map(
    entries.flatMap(({ entry: { action, id, correlationId } }) => {
      const runId = id as string as RunId;
      return action === 'run.open' ? [[runId, { correlationId, closed: closed.has(runId) }] as const] : [];
    }),
  );
};

const highestOf = async (reader: TrailReader, emitters: readonly string[]): Promise<Map<string, number>> => {
  if (emitters.length === 0) return new Map();
  const { behind } = await extentOf(reader);
  if (behind > 0)
    throw new ApiError('TRAIL_UNAVAILABLE', `the index is ${behind} entries behind; send the events again`);
  return new Map((await reader.emitters(emitters)).map(({ _id, high }) => [_id, high]));
};
