/** The isolation probe on demand. Permission was asked before: platform.cedar forbids it to all but the platform. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { taskQueues } from '../../domain/action/contract.ts';
import {
  probeCorrelation,
  probeEmitter,
  probePart,
  probeWorkflowId,
  summaryOf,
  type ProbeAttempt,
  type ProbeInput,
} from '../../domain/isolation/contract.ts';
import { eventIdTimeMs, type EventId } from '../../schema/ids.ts';
import { probeEntry } from '../../store/probe-ids.ts';
import type { isolationProbe } from '../../workflows/probe.ts';
import type { OperationContext } from '../context.ts';
import { withTrace } from '../trace.ts';
import { appendOwn } from './append.ts';
import { askWorkflow } from './workflowCalls.ts';
import { waitForResult } from './workflowResult.ts';

const waitMsMax = 60_000;

export interface ProbeIsolationInput {
  readonly id: EventId;
  readonly waitMs?: number;
}

export interface IsolationProbeView {
  readonly id: EventId;
  readonly state: 'PROBING' | 'HELD' | 'BREACHED' | 'INCOMPLETE';
  readonly attempts: number;
  readonly breaches: readonly string[];
  readonly unable: readonly string[];
  readonly event?: EventId;
  readonly index?: number;
  readonly reportDigest?: string;
}

/** That it was asked for is recorded first. The same call again is the same probe, and says how it stands. */
export const probeIsolation = async (
  ctx: OperationContext,
  { id, waitMs = waitMsMax }: ProbeIsolationInput,
): Promise<IsolationProbeView> => {
  const request = probeEntry(id, 'request');
  await appendOwn(ctx, {
    id,
    correlationId: probeCorrelation(id),
    spanId: request.spanId,
    emitter: { id: probeEmitter(id), sequence: 1 },
    eventTime: new Date(eventIdTimeMs(id)).toISOString(),
    actor: { principal: ctx.caller.principal, kind: ctx.caller.kind },
    action: 'isolation.probe',
    phase: 'intent',
    system: 'trailkeeper',
  });
  const known = await resultOf(ctx, id);
  if (known) return known;
  await start(ctx, id, { correlationId: probeCorrelation(id), spanId: request.spanId });
  await waitForResult(ctx, probeWorkflowId(ctx.caller.instance, id), Math.min(Math.max(waitMs, 0), waitMsMax));
  return (await resultOf(ctx, id)) ?? { id, state: 'PROBING', attempts: 0, breaches: [], unable: [] };
};

const start = async (
  { caller, services }: OperationContext,
  request: EventId,
  trace: Parameters<typeof withTrace>[0],
): Promise<void> => {
  const input: ProbeInput = { platform: caller.instance, request, attemptsMs: 600_000, retryMsMax: 30_000 };
  try {
    await withTrace(trace, () =>
      askWorkflow({ services }, () =>
        services.temporal.workflow.start<typeof isolationProbe>('isolationProbe', {
          workflowId: probeWorkflowId(caller.instance, request),
          taskQueue: (services.taskQueues ?? taskQueues).provisioning,
          args: [input],
          workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      ),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
};

const resultOf = async (
  { instance: { trail } }: OperationContext,
  id: EventId,
): Promise<IsolationProbeView | undefined> => {
  await trail.reader.fresh(2000);
  const found = await trail.reader.byId(probeEntry(id, 'result').id);
  if (!found) return undefined;
  const [opened] = await trail.reader.withParts([found], (_entry, { name }) => name === probePart);
  const part = opened?.parts?.[probePart];
  const report = part?.state === 'present' ? (part.content as unknown as { attempts: ProbeAttempt[] }) : undefined;
  const { entry, index } = found;
  const summary = report
    ? summaryOf(report.attempts)
    : { state: stateOf(entry.outcome), attempts: entry.count ?? 0, breaches: entry.fields ?? [], unable: [] };
  return {
    ...summary,
    id,
    event: entry.id,
    index,
    ...(entry.parametersDigest && { reportDigest: entry.parametersDigest }),
  };
};

/** Where the report was erased, the entry still says how it ended. */
const stateOf = (outcome: string | undefined): 'HELD' | 'BREACHED' | 'INCOMPLETE' =>
  outcome === 'success' ? 'HELD' : outcome === 'failure' ? 'BREACHED' : 'INCOMPLETE';
