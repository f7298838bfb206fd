/** Opening and closing runs. The log comes first: a run is open because its opening stands there. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { WorkflowNotFoundError } from '@temporalio/client';
import canonicalize from 'canonicalize';
import { actionsMaxDefault, actionsMaxLimit } from '../../domain/action/admission.ts';
import { runWorkflowId, taskQueues, type RunInput } from '../../domain/action/contract.ts';
import { runEmitter, spanOf } from '../../domain/action/entryIds.ts';
import { checkCompleteness, type Completeness } from '../../domain/completeness.ts';
import { missingSentence } from '../../domain/diagnosis/renderMissing.ts';
import { groupActions, type ActionRecord } from '../../domain/timeline/actions.ts';
import { objectTallyOf } from '../../domain/timeline/objectTally.ts';
import { formatTraceparent } from '../../domain/traceContext.ts';
import type { RecordedEvent, Versions } from '../../schema/event.ts';
import { eventIdTimeMs, type EventId, type PrincipalId, type RunId } from '../../schema/ids.ts';
import type { Json, JsonObject } from '../../schema/json.ts';
import { derivedEventId } from '../../store/derived-id.ts';
import { newCorrelationId, newEventId } from '../../trail/recorder.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import type { run } from '../../workflows/run.ts';
import { closeRunUpdate, endRunUpdate } from '../../workflows/messages.ts';
import { ApiError } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { withTrace } from '../trace.ts';
import { appendOwn } from './append.ts';
import { extentOf } from './query.ts';
import { findClosing, findRun, type OpenedRun, type RunPart } from './runLookup.ts';
import { askWorkflow } from './workflowCalls.ts';

/** Admissions after which a run continues as new. */
const admissionsPerHistory = 500;

export interface OpenRunInput {
  readonly id?: RunId;
  readonly agent?: PrincipalId;
  readonly purpose: string;
  readonly onBehalfOf?: PrincipalId;
  readonly sessionId?: string;
  readonly versions?: { readonly [K in keyof Versions]?: Versions[K] | null };
  readonly budget?: { readonly actionsMax?: number | null };
}

export interface RunView {
  readonly runId: RunId;
  readonly correlationId: OpenedRun['correlationId'];
  readonly traceparent: string;
  readonly state: 'OPEN' | 'CLOSED';
}

/** Idempotent by `id`: what stands in the log under it is the run, whatever is given again. */
export const openRun = async (ctx: OperationContext, input: OpenRunInput): Promise<RunView> => {
  const { caller, services, instance } = ctx;
  const runId = input.id ?? (newEventId() as string as RunId);
  const agent = await agentOf(ctx, input.agent);
  const actionsMax = input.budget?.actionsMax ?? actionsMaxDefault;
  if (!Number.isInteger(actionsMax) || actionsMax < 1 || actionsMax > actionsMaxLimit)
    throw new ApiError('BAD_INPUT', `budget.actionsMax: from 1 to ${actionsMaxLimit}`);
  const now = new Date(services.nowMs());
  const delegation = input.onBehalfOf && (await instance.control.delegation(input.onBehalfOf, agent, now));
  if (input.onBehalfOf && !delegation)
    throw new ApiError('FORBIDDEN', 'onBehalfOf: no delegation by that person to this agent is in force');
  const versions = Object.fromEntries(
    Object.entries(input.versions ?? {}).filter(([, value]) => value !== null && value !== undefined),
  );
  const part: RunPart = { agent, actionsMax };
  try {
    await appendOwn(ctx, {
      id: runId as string as EventId,
      correlationId: newCorrelationId(),
      spanId: spanOf(runId as string as EventId),
      runId,
      ...(input.sessionId && { sessionId: input.sessionId }),
      emitter: { id: runEmitter(runId as string as EventId), sequence: 1 },
      eventTime: now.toISOString(),
      actor: { principal: caller.principal, kind: caller.kind },
      ...(input.onBehalfOf && { onBehalfOf: input.onBehalfOf }),
      ...(delegation && { delegation: delegation.delegation }),
      action: 'run.open',
      phase: 'outcome',
      outcome: 'success',
      system: 'trailkeeper',
      purpose: input.purpose,
      ...(Object.keys(versions).length > 0 && { versions }),
      parts: [{ name: 'run', content: { ...part } }],
    });
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'ID_CONFLICT')) throw error;
  }
  const opened = await sameRun(ctx, runId, agent, input);
  const closed = (await findClosing(ctx, runId)) !== undefined;
  if (!closed) await startRun(ctx, opened);
  return viewOf(opened, closed ? 'CLOSED' : 'OPEN');
};

/** Whoever opens a run for an agent names one that is registered; an agent opens its own only. */
const agentOf = async ({ caller, instance }: OperationContext, asked?: PrincipalId): Promise<PrincipalId> => {
  const agent = asked ?? caller.principal;
  if (caller.role === 'agent' && agent !== caller.principal)
    throw new ApiError('FORBIDDEN', 'agent: an agent opens runs for itself only');
  const principal = await instance.control.principal(agent);
  if (!principal || principal.disabled || principal.kind === 'human')
    throw new ApiError('BAD_INPUT', 'agent: not a registered agent or service of this instance');
  return agent;
};

/** The run that stands under the id, if it is what was asked for. */
const sameRun = async (
  ctx: OperationContext,
  runId: RunId,
  agent: PrincipalId,
  { purpose, onBehalfOf }: OpenRunInput,
): Promise<OpenedRun> => {
  let opened: OpenedRun | undefined;
  try {
    opened = await findRun(ctx, runId);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'NOT_FOUND')) throw error;
  }
  const same =
    opened?.agent === agent && opened.opening.purpose === purpose && opened.opening.onBehalfOf === onBehalfOf;
  if (!opened || !same) throw new ApiError('ID_CONFLICT', 'id: stands in the log for something else; take a new one');
  return opened;
};

const traceOf = ({ correlationId, opening }: OpenedRun) => ({ correlationId, spanId: opening.spanId });

const viewOf = (opened: OpenedRun, state: RunView['state']): RunView => ({
  runId: opened.runId,
  correlationId: opened.correlationId,
  traceparent: formatTraceparent(traceOf(opened)),
  state,
});

/** Starts the run's workflow, where it was not started before. Resolves to false where it has ended. */
export const startRun = (ctx: OperationContext, opened: OpenedRun): Promise<void> => {
  const { temporal } = ctx.services;
  const instance = ctx.caller.instance;
  const queues = ctx.services.taskQueues ?? taskQueues;
  const input: RunInput = {
    instance,
    run: opened.runId,
    actionsMax: opened.actionsMax,
    actionsQueue: queues.actions,
    admissionsPerHistory: ctx.services.admissionsPerHistory ?? admissionsPerHistory,
  };
  return withTrace(traceOf(opened), () =>
    askWorkflow(ctx, async () => {
      try {
        await temporal.workflow.start<typeof run>('run', {
          workflowId: runWorkflowId(instance, opened.runId),
          taskQueue: queues.runs,
          args: [input],
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
        });
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    }),
  );
};

export interface MissingPiece {
  readonly kind: string;
  readonly text: string;
  readonly details: JsonObject;
}

export interface ClosedRunView {
  readonly runId: RunId;
  readonly state: 'COMPLETE' | 'INCOMPLETE';
  readonly missing: readonly MissingPiece[];
  /** Objects that failed actions never tried: the record lacks nothing, but the work is not done. */
  readonly notes: readonly MissingPiece[];
}

/**
 * First no action can begin any more, then the record is checked, then the closing is recorded, then the workflow ends.
 * After a crash anywhere the same call completes it. A closing with nothing missing is the last one; a run that was
 * incomplete is checked again, and closed again where it lacks something else or nothing any more.
 */
export const closeRun = async (ctx: OperationContext, { runId }: { runId: RunId }): Promise<ClosedRunView> => {
  const opened = await findRun(ctx, runId);
  const { caller } = ctx;
  if (caller.role === 'agent' && opened.agent !== caller.principal)
    throw new ApiError('FORBIDDEN', 'runId: an agent closes its own runs only');
  const standing = await findClosing(ctx, runId);
  if (!standing) await recordClosing(ctx, opened, { entry: await beginClosing(ctx, opened), sequence: 2 });
  else if (standing.entry.outcome !== 'success') await closeAgain(ctx, opened, standing);
  await endRun(ctx, opened);
  const closing = (await afterIndexing(ctx, () => findClosing(ctx, runId)))!;
  const state = closing.entry.outcome === 'success' ? 'COMPLETE' : 'INCOMPLETE';
  return { runId, state, ...(await foundAt(ctx, closing)) };
};

type Found = Pick<ClosedRunView, 'missing' | 'notes'>;

const foundAt = async ({ instance }: OperationContext, closing: IndexedEvent): Promise<Found> => {
  const [open] = await instance.trail.reader.withParts([closing], (_entry, { name }) => name === 'completeness');
  const part = open?.parts?.['completeness'];
  const content = (part?.state === 'present' ? part.content : {}) as Partial<Found>;
  return { missing: content.missing ?? [], notes: content.notes ?? [] };
};

const afterIndexing = async <T>({ instance }: OperationContext, look: () => Promise<T>): Promise<T> => {
  const { behind } = await extentOf(instance.trail.reader);
  if (behind > 0) throw new ApiError('TRAIL_UNAVAILABLE', `the index is ${behind} entries behind; try again`);
  return look();
};

interface ClosingPlace {
  readonly entry: EventId;
  readonly sequence: number;
  /** What an earlier closing found missing: the same again is not recorded again. */
  readonly before?: readonly MissingPiece[];
}

const closeAgain = async (ctx: OperationContext, opened: OpenedRun, standing: IndexedEvent): Promise<void> => {
  const sequence = standing.entry.emitter.sequence + 1;
  await recordClosing(ctx, opened, { entry: newEventId(), sequence, before: (await foundAt(ctx, standing)).missing });
};

const recordClosing = async (ctx: OperationContext, opened: OpenedRun, place: ClosingPlace): Promise<void> => {
  const { runId, correlationId, opening } = opened;
  const { caller, services } = ctx;
  const { entry, sequence, before } = place;
  const { completeness, notes } = await afterIndexing(ctx, () => completenessOf(ctx, runId));
  const missing = completeness.state === 'COMPLETE' ? [] : completeness.missing.map(toPiece);
  if (before && canonicalize(before) === canonicalize(missing)) return;
  try {
    await appendOwn(ctx, {
      id: entry,
      correlationId,
      spanId: spanOf(entry),
      parentSpanId: opening.spanId,
      causedBy: opening.id,
      runId,
      ...(opening.sessionId && { sessionId: opening.sessionId }),
      emitter: { id: runEmitter(runId as string as EventId), sequence },
      eventTime: new Date(services.nowMs()).toISOString(),
      actor: { principal: caller.principal, kind: caller.kind },
      ...(opening.onBehalfOf && { onBehalfOf: opening.onBehalfOf }),
      action: 'run.close',
      phase: 'outcome',
      outcome: completeness.state === 'COMPLETE' ? 'success' : 'failure',
      system: 'trailkeeper',
      parts: [
        {
          name: 'completeness',
          content: { state: completeness.state, missing: missing as never, notes: notes as never },
        },
      ],
    });
  } catch (error) {
    const stands = error instanceof ApiError && (error.code === 'ID_CONFLICT' || error.code === 'SEQUENCE_CONFLICT');
    if (!stands) throw error;
  }
};

/** Stops admissions; answers with the id of the closing. */
const beginClosing = async (ctx: OperationContext, opened: OpenedRun): Promise<EventId> => {
  const workflow = ctx.services.temporal.workflow.getHandle(runWorkflowId(ctx.caller.instance, opened.runId));
  const close = () => withTrace(traceOf(opened), () => askWorkflow(ctx, () => workflow.executeUpdate(closeRunUpdate)));
  try {
    return (await close()).entry;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
  // Opened, and the workflow not started: a crash came between. Or Temporal has forgotten it.
  await startRun(ctx, opened);
  try {
    return (await close()).entry;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return derivedEventId(
      Math.max(eventIdTimeMs(opened.opening.id), ctx.services.nowMs()),
      `run.close\n${opened.runId}`,
    );
  }
};

const endRun = async (ctx: OperationContext, opened: OpenedRun): Promise<void> => {
  const workflow = ctx.services.temporal.workflow.getHandle(runWorkflowId(ctx.caller.instance, opened.runId));
  try {
    await withTrace(traceOf(opened), () => askWorkflow(ctx, () => workflow.executeUpdate(endRunUpdate)));
  } catch (error) {
    // It ended before.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
};

const pageSize = 1000;

const completenessOf = async (
  { instance }: OperationContext,
  runId: RunId,
): Promise<{ completeness: Completeness; notes: MissingPiece[] }> => {
  const { reader } = instance.trail;
  const events: RecordedEvent[] = [];
  for (;;) {
    const after = events.at(-1)?.index;
    const page = await reader.find({ run: runId }, { limit: pageSize, ...(after !== undefined && { after }) });
    events.push(...page);
    if (page.length < pageSize) break;
  }
  const emitters = await reader.emitters([...new Set(events.map(({ entry }) => entry.emitter.id))]);
  const completeness = checkCompleteness(events, new Map(emitters.map(({ _id, ...state }) => [_id, state])));
  return { completeness, notes: groupActions(events).flatMap(noteOf) };
};

/** A final failure is final, and says nothing of the objects that no call came to any more. */
const noteOf = (record: ActionRecord): MissingPiece[] => {
  const { succeeded, failed, notTried } = objectTallyOf(record);
  if (record.provenance !== 'platform' || record.attempts.length === 0 || notTried === 0) return [];
  return [
    {
      kind: 'objects-never-tried',
      text: `action ${record.intentId} failed${succeeded > 0 ? ' in part' : ''}: ${succeeded} succeeded, ${failed} failed, ${notTried} never tried`,
      details: { intent: record.intentId, succeeded, failed, notTried },
    },
  ];
};

const toPiece = (reason: Extract<Completeness, { state: 'INCOMPLETE' }>['missing'][number]): MissingPiece => {
  const { kind, ...details } = reason;
  return {
    kind,
    text: missingSentence(reason),
    details: details as Record<string, unknown> as { [key: string]: Json },
  };
};
