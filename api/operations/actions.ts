/** Guarded actions: asked for, looked at, settled. */
import { createHash } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import canonicalize from 'canonicalize';
import { setTimeout as delay } from 'node:timers/promises';
import { actionWorkflowId, runWorkflowId, type ActionInput } from '../../domain/action/contract.ts';
import { actionDurations } from '../../domain/action/durations.ts';
import { actionEmitter, spanOf } from '../../domain/action/entryIds.ts';
import { mappingReference, type ActionOutline, type ToolDescription } from '../../domain/action/toolCatalogue.ts';
import { platformEvent, type Entry, type EventInput } from '../../schema/event.ts';
import { eventIdTimeMs, type EventId, type RunId } from '../../schema/ids.ts';
import type { JsonObject } from '../../schema/json.ts';
import type { ActionView } from '../../schema/views.ts';
import { derivedEventId } from '../../store/derived-id.ts';
import { newEventId } from '../../trail/recorder.ts';
import { performUpdate, settleUpdate } from '../../workflows/messages.ts';
import { ApiError } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { withTrace } from '../trace.ts';
import { currentView, fromLog, restingView } from './actionView.ts';
import { appendOwn } from './append.ts';
import { findIntent } from './intents.ts';
import { extentOf } from './query.ts';
import { refusalOfWord } from './refusedWords.ts';
import { findClosing, findRun, type OpenedRun } from './runLookup.ts';
import { startRun } from './runs.ts';
import { askWorkflow, toApiRefusal, WorkflowRefusal } from './workflowCalls.ts';

const waitMsDefault = 10_000;
const waitMsMax = 60_000;

export interface PerformActionInput {
  readonly runId: RunId;
  readonly id?: EventId;
  readonly tool: string;
  readonly params: JsonObject;
  readonly causedBy?: EventId;
  readonly waitMs?: number;
}

/**
 * The intent is appended, then the run admits it. After a crash in between, or with Temporal away, the same call with the
 * same id goes on where it stopped; it is one action however often it is asked for.
 */
export const performAction = async (ctx: OperationContext, input: PerformActionInput): Promise<ActionView> => {
  const waitMs = Math.min(input.waitMs ?? waitMsDefault, waitMsMax);
  const tool = toolOf(ctx, input);
  const run = await findRun(ctx, input.runId);
  if (run.agent !== ctx.caller.principal)
    throw new ApiError('FORBIDDEN', 'runId: only the agent of a run performs actions in it');
  const { entry, index } = await recordIntent(ctx, run, tool, input);
  const { intent, started } = await admit(ctx, run, entry, index);
  return started ? restingView(ctx, intent, waitMs) : fromLog(ctx, intent);
};

const toolOf = ({ services }: OperationContext, { tool: name, params }: PerformActionInput): ToolDescription => {
  const tool = services.tools.find(name);
  if (!tool) throw new ApiError('TOOL_UNKNOWN', 'tool: there is no such tool; docs/connectors.md lists them');
  const issues = services.tools.issues(name, params);
  if (issues.length > 0)
    throw new ApiError('BAD_INPUT', `params do not fit the tool's schema (${issues.slice(0, 5).join('; ')})`);
  return tool;
};

interface RecordedIntent {
  readonly entry: Entry | EventInput;
  readonly index: number;
}

const recordIntent = async (
  ctx: OperationContext,
  run: OpenedRun,
  tool: ToolDescription,
  input: PerformActionInput,
): Promise<RecordedIntent> => {
  const { instance, services, caller } = ctx;
  const id = input.id ?? newEventId();
  const content = { tool: tool.name, params: input.params };
  const parametersDigest = createHash('sha256')
    .update(canonicalize(content) ?? 'null')
    .digest('hex');
  if (input.id && (await instance.trail.reader.byId(id))) return standingIntent(ctx, run, id, parametersDigest);
  if (await findClosing(ctx, run.runId)) throw new ApiError('RUN_CLOSED', 'the run is closed; open a new one');
  const { opening } = run;
  const now = new Date(services.nowMs());
  const delegation = opening.onBehalfOf && (await instance.control.delegation(opening.onBehalfOf, run.agent, now));
  const outline = await outlineOf(ctx, tool, input.params);
  const event: EventInput = {
    id,
    correlationId: run.correlationId,
    spanId: spanOf(id),
    parentSpanId: opening.spanId,
    causedBy: input.causedBy ?? opening.id,
    runId: run.runId,
    ...(opening.sessionId && { sessionId: opening.sessionId }),
    emitter: { id: actionEmitter(id), sequence: 1 },
    // When the agent made the id, so that the same call again is the same event.
    eventTime: new Date(eventIdTimeMs(id)).toISOString(),
    actor: { principal: caller.principal, kind: caller.kind },
    ...(opening.onBehalfOf && { onBehalfOf: opening.onBehalfOf }),
    ...(delegation && { delegation: delegation.delegation }),
    action: tool.action,
    phase: 'intent',
    system: tool.system,
    endpoint: tool.endpoint,
    ...(opening.purpose && { purpose: opening.purpose }),
    ...(opening.versions && { versions: opening.versions }),
    parametersDigest,
    ...outlineFields(outline),
    parts: [{ name: 'parameters', content: content as never, ...(outline?.subjects.length === 1 && { subject: 0 }) }],
  };
  try {
    const receipt = await appendOwn(ctx, event);
    return { entry: event, index: receipt.index };
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'ID_CONFLICT')) throw error;
    return standingIntent(ctx, run, id, parametersDigest);
  }
};

/** What stands under the id is this action, if it is in this run and has these parameters. */
const standingIntent = async (
  ctx: OperationContext,
  run: OpenedRun,
  id: EventId,
  parametersDigest: string,
): Promise<RecordedIntent> => {
  const conflict = new ApiError('ID_CONFLICT', 'id: stands in the log for something else; take a new one');
  const { entry, index } = await findIntent(ctx, id).catch((error: unknown) => {
    throw error instanceof ApiError && error.code === 'NOT_FOUND' ? conflict : error;
  });
  if (entry.runId !== run.runId || entry.parametersDigest !== parametersDigest) throw conflict;
  return { entry, index };
};

const outlineOf = async (
  { services, instance }: OperationContext,
  tool: ToolDescription,
  params: JsonObject,
): Promise<ActionOutline | undefined> => {
  const named = tool.takesMapping ? params['mapping'] : undefined;
  const reference = typeof named === 'string' ? mappingReference(named) : undefined;
  const published = reference && (await instance.control.version('mapping', reference.name, reference.version));
  const mapping = reference && published?.content && { ...reference, fields: published.content.fields };
  return services.tools.outline(tool.name, params, mapping || undefined);
};

/** What is about one person is kept as theirs. */
const outlineFields = (outline: ActionOutline | undefined): Partial<EventInput> => {
  if (!outline) return {};
  const { count, fields, subjects, channel } = outline;
  return {
    ...(count > 1 && { count }),
    ...(fields.length > 0 && { fields: fields.slice(0, 256) }),
    ...(subjects.length === 1 && { subjects: [...subjects] }),
    ...(channel && { channel }),
  };
};

/** Lets the run start the action. `started` false: the run refused it before, or Temporal forgot it; the log knows. */
const admit = async (
  ctx: OperationContext,
  run: OpenedRun,
  recorded: Entry | EventInput,
  intentIndex: number,
): Promise<{ readonly intent: Entry; readonly started: boolean }> => {
  const { caller, services } = ctx;
  const intent = recorded as Entry;
  const input: ActionInput = {
    instance: caller.instance,
    run: run.runId,
    intent: intent.id,
    intentIndex,
    parametersDigest: intent.parametersDigest!,
    agent: run.agent,
    ...(intent.onBehalfOf && { onBehalfOf: intent.onBehalfOf }),
    durations: { ...actionDurations, ...services.actionDurations },
  };
  const workflow = services.temporal.workflow.getHandle(runWorkflowId(caller.instance, run.runId));
  const trace = { correlationId: intent.correlationId, spanId: intent.spanId };
  const ask = () =>
    withTrace(trace, () =>
      askWorkflow(ctx, () => workflow.executeUpdate(performUpdate, { args: [input], updateId: intent.id })),
    );
  for (let round = 1; ; round += 1) {
    try {
      await ask();
      return { intent, started: true };
    } catch (error) {
      const code = error instanceof WorkflowRefusal ? error.code : undefined;
      if (code === 'RUN_CONTINUING' && round < 100) {
        await delay(Math.min(20 * round, 500));
        continue;
      }
      if (error instanceof WorkflowNotFoundError && round === 1) {
        // Opened, and the workflow not started: a crash came between. Where it has ended, starting changes nothing.
        await startRun(ctx, run);
        continue;
      }
      if (code !== 'RUN_CLOSED' && code !== 'BUDGET_EXCEEDED' && !(error instanceof WorkflowNotFoundError)) throw error;
      if (await began(ctx, intent)) return { intent, started: await isKnown(ctx, intent) };
      const refusal = new WorkflowRefusal(code ?? 'RUN_CLOSED');
      await recordRefusal(ctx, intent);
      throw toApiRefusal(refusal);
    }
  }
};

const refusalId = (intent: Entry): EventId => derivedEventId(eventIdTimeMs(intent.id), `refused\n${intent.id}`);

/** Whether the action was begun: a run that has ended does not say any more. */
const began = async (ctx: OperationContext, intent: Entry): Promise<boolean> => {
  const { reader } = ctx.instance.trail;
  await extentOf(reader);
  const later = await reader.find({ emitter: actionEmitter(intent.id), seq: 2 }, { limit: 1 });
  if (later[0]) return later[0].entry.id !== refusalId(intent);
  return isKnown(ctx, intent);
};

const isKnown = async (ctx: OperationContext, { id }: Entry): Promise<boolean> => {
  const handle = ctx.services.temporal.workflow.getHandle(actionWorkflowId(ctx.caller.instance, id));
  try {
    await askWorkflow(ctx, () => handle.describe());
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
};

/** The run refused it, so no workflow writes under the action's emitter: its end is recorded here. */
const recordRefusal = async (ctx: OperationContext, intent: Entry): Promise<void> => {
  const id = refusalId(intent);
  await appendOwn(
    ctx,
    platformEvent.parse({
      id,
      correlationId: intent.correlationId,
      spanId: spanOf(id),
      parentSpanId: intent.spanId,
      causedBy: intent.id,
      runId: intent.runId,
      ...(intent.sessionId && { sessionId: intent.sessionId }),
      emitter: { id: actionEmitter(intent.id), sequence: 2 },
      eventTime: new Date(eventIdTimeMs(intent.id)).toISOString(),
      actor: intent.actor,
      ...(intent.onBehalfOf && { onBehalfOf: intent.onBehalfOf }),
      action: intent.action,
      phase: 'outcome',
      outcome: 'denied',
      system: intent.system,
      error: { code: 'POLICY_DENIED' },
    }),
  );
};

/** How an action stands now. Throws NOT_FOUND. */
export const action = async (ctx: OperationContext, id: EventId): Promise<ActionView> =>
  currentView(ctx, (await findIntent(ctx, id)).entry);

export interface SettleActionInput {
  readonly id: EventId;
  readonly outcome: 'SUCCESS' | 'FAILURE';
  readonly reason: string;
}

/** Who says so and why is recorded first; the workflow then takes it, or refuses it with ACTION_NOT_UNKNOWN. */
export const settleAction = async (ctx: OperationContext, input: SettleActionInput): Promise<ActionView> => {
  const { caller, services } = ctx;
  const { entry: intent } = await findIntent(ctx, input.id);
  const [receipt] = await ctx.instance.recorder.record([
    {
      correlationId: intent.correlationId,
      parentSpanId: intent.spanId,
      causedBy: intent.id,
      ...(intent.runId && { runId: intent.runId }),
      actor: { principal: caller.principal, kind: caller.kind },
      action: 'action.settle',
      phase: 'intent',
      system: intent.system,
      ...(intent.parametersDigest && { parametersDigest: intent.parametersDigest }),
      parts: [{ name: 'reason', content: { outcome: input.outcome, reason: input.reason } }],
    },
  ]);
  const handle = services.temporal.workflow.getHandle(actionWorkflowId(caller.instance, intent.id));
  const settlement = {
    outcome: input.outcome === 'SUCCESS' ? ('success' as const) : ('failure' as const),
    by: caller.principal,
    kind: caller.kind,
    entry: receipt!.id,
  };
  const trace = { correlationId: intent.correlationId, spanId: intent.spanId };
  try {
    await withTrace(trace, () =>
      askWorkflow(ctx, () => handle.executeUpdate(settleUpdate, { args: [settlement], updateId: receipt!.id })),
    );
  } catch (error) {
    const word = { action: 'action.settle', entry: receipt!.id, whenOver: 'ACTION_NOT_UNKNOWN' } as const;
    throw await refusalOfWord(ctx, intent, word, error);
  }
  return restingView(ctx, intent, waitMsDefault);
};
