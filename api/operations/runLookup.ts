/** Finds a run by its opening in the log, which is what says that there is such a run. */
import { runEmitter } from '../../domain/action/entryIds.ts';
import type { CorrelationId, EventId, PrincipalId, RunId } from '../../schema/ids.ts';
import type { Entry } from '../../schema/event.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import { notFound } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { absent, extentOf } from './query.ts';

export interface OpenedRun {
  readonly runId: RunId;
  readonly correlationId: CorrelationId;
  readonly opening: Entry;
  readonly agent: PrincipalId;
  readonly actionsMax: number;
}

/** Content of the part `run` of an opening. */
export interface RunPart {
  readonly agent: PrincipalId;
  readonly actionsMax: number;
}

/** A run is named by the event that opened it. */
const openingId = (runId: RunId): EventId => runId as string as EventId;

/** Throws NOT_FOUND, for another instance's runs as for absent ones. */
export const findRun = async (ctx: OperationContext, runId: RunId): Promise<OpenedRun> => {
  const { reader } = ctx.instance.trail;
  const known = (await reader.byId(openingId(runId))) ?? (await afterWaiting(ctx, runId));
  if (known.entry.action !== 'run.open' || known.entry.provenance !== 'platform') throw notFound('run');
  // Only who opened the run, and within which budget: it is read by the platform for itself.
  const [open] = await reader.withParts([known], (_entry, { name }) => name === 'run');
  const part = open?.parts?.['run'];
  const { agent, actionsMax } = (part?.state === 'present' ? part.content : {}) as Partial<RunPart>;
  return {
    runId,
    correlationId: known.entry.correlationId,
    opening: known.entry,
    agent: agent ?? known.entry.actor.principal,
    actionsMax: actionsMax ?? 0,
  };
};

const afterWaiting = async ({ instance }: OperationContext, runId: RunId): Promise<IndexedEvent> => {
  const { reader } = instance.trail;
  const extent = await extentOf(reader);
  const found = await reader.byId(openingId(runId));
  if (!found) throw absent('run', extent);
  return found;
};

/** The last closing that is recorded; undefined for an open run. */
export const findClosing = async ({ instance }: OperationContext, runId: RunId): Promise<IndexedEvent | undefined> => {
  const own = { emitter: runEmitter(openingId(runId)), action: 'run.close' } as const;
  return (await instance.trail.reader.findLatest(own, 1))[0];
};
