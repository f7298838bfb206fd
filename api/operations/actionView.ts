/** How an action stands: as its workflow says or, where that is gone or away, as the log tells. */
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import { actionWorkflowId } from '../../domain/action/contract.ts';
import { progressFromLog } from '../../domain/action/logProgress.ts';
import { actionEmitter } from '../../domain/action/entryIds.ts';
import { isResting, type ActionProgress } from '../../domain/action/progress.ts';
import type { Entry } from '../../schema/event.ts';
import type { ActionView } from '../../schema/views.ts';
import type { RecordedEvent } from '../../schema/event.ts';
import type { action } from '../../workflows/action.ts';
import { progressQuery } from '../../workflows/messages.ts';
import type { OperationContext } from '../context.ts';
import { ApiError } from '../errors.ts';
import { extentOf } from './query.ts';
import { askWorkflow } from './workflowCalls.ts';

const queryMs = 3000;
const pageSize = 1000;
const pollMsMin = 250;
const pollMsMax = 2000;

export const viewOf = (intent: Entry, progress: ActionProgress): ActionView => {
  const { state, outcome, error, approval, attempts, objects } = progress;
  const over = state === 'FAILED' || state === 'DENIED';
  const notTried = over ? Math.max(0, (intent.count ?? 1) - objects.succeeded - objects.failed) : 0;
  return {
    id: intent.id,
    runId: intent.runId!,
    state,
    ...(outcome && { outcome }),
    ...(error && { error }),
    parametersDigest: intent.parametersDigest!,
    ...(approval && {
      approval: {
        state: approval.state,
        expires: new Date(approval.expiresMs).toISOString(),
        ...('decidedBy' in approval && { decidedBy: approval.decidedBy }),
      },
    }),
    attempts,
    objects: { succeeded: objects.succeeded, failed: objects.failed, notTried },
  };
};

const handleOf = ({ services, caller }: OperationContext, intent: Entry) =>
  services.temporal.workflow.getHandle<typeof action>(actionWorkflowId(caller.instance, intent.id));

export const currentView = async (ctx: OperationContext, intent: Entry): Promise<ActionView> => {
  try {
    const progress = await askWorkflow(ctx, () => handleOf(ctx, intent).query(progressQuery), queryMs);
    if (progress) return viewOf(intent, progress);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError) && !(error instanceof ApiError)) throw error;
  }
  return fromLog(ctx, intent);
};

export const fromLog = async ({ instance }: OperationContext, intent: Entry): Promise<ActionView> => {
  const { reader } = instance.trail;
  await extentOf(reader);
  const events: RecordedEvent[] = [];
  for (;;) {
    const after = events.at(-1)?.index;
    const page = await reader.find(
      { emitter: actionEmitter(intent.id) },
      { limit: pageSize, ...(after !== undefined && { after }) },
    );
    events.push(...(await reader.withParts(page, (_entry, { name }) => name === 'request')));
    if (page.length < pageSize) return viewOf(intent, progressFromLog(events));
  }
};

/** Waits until the action ended or a person has the next word, at most `waitMs`, and says how it then stands. */
export const restingView = async (ctx: OperationContext, intent: Entry, waitMs: number): Promise<ActionView> => {
  if (waitMs <= 0) return currentView(ctx, intent);
  const { connection } = ctx.services.temporal;
  const over = new AbortController();
  const handle = handleOf(ctx, intent);
  // One long poll for the end, and now and then a look whether a person is waited for.
  const ending = connection.withAbortSignal(over.signal, () => handle.result());
  const resting = rest(() => connection.withAbortSignal(over.signal, () => handle.query(progressQuery)), over.signal);
  ending.catch(() => undefined);
  resting.catch(() => undefined);
  try {
    const progress = await Promise.race([ending, resting, delay(waitMs, undefined, { signal: over.signal })]);
    if (progress) return viewOf(intent, progress);
  } catch (error) {
    if (error instanceof WorkflowFailedError) return await fromLog(ctx, intent);
  } finally {
    over.abort();
  }
  return currentView(ctx, intent);
};

const rest = async (look: () => Promise<ActionProgress>, signal: AbortSignal): Promise<ActionProgress> => {
  for (let waitMs = pollMsMin; ; waitMs = Math.min(waitMs * 2, pollMsMax)) {
    await delay(waitMs, undefined, { signal });
    const progress = await look();
    if (isResting(progress.state)) return progress;
  }
};
