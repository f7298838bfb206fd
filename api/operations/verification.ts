/** Self-verification, as callers see it: the last results from the log, what goes on from Temporal. */
import { randomUUID } from 'node:crypto';
import { taskQueues } from '../../domain/action/contract.ts';
import {
  checkKinds,
  repairId,
  requestedCheckId,
  scheduledCheckId,
  type CheckInput,
  type CheckKind,
  type CheckProgress,
  type RepairInput,
  type RepairProgress,
} from '../../domain/verification/contract.ts';
import {
  describeDifference,
  differenceKinds,
  isProjection,
  type Difference,
  type DifferenceKind,
  type Store,
} from '../../domain/verification/difference.ts';
import { overdueKinds, usualIntervalsMs } from '../../domain/verification/schedule.ts';
import type { CorrelationId, InstanceId } from '../../schema/ids.ts';
import type { Outcome } from '../../schema/taxonomy.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import { alertsOfCheck, lastChecks } from '../../trail/verification/last-checks.ts';
import type { repairProjections } from '../../workflows/repairProjections.ts';
import type { selfVerification } from '../../workflows/selfVerification.ts';
import { checkProgressQuery, repairProgressQuery } from '../../workflows/verificationMessages.ts';
import type { OperationContext } from '../context.ts';
import { askWorkflow } from './workflowCalls.ts';

export interface SelfCheckView {
  readonly kind: CheckKind;
  readonly correlationId: CorrelationId;
  readonly outcome: Outcome;
  readonly incomplete: boolean;
  readonly ended: string;
  readonly index: number;
  readonly entries: number;
  readonly differences: readonly LogDifferenceView[];
  readonly repairable: boolean;
}

export interface LogDifferenceView {
  readonly kind: string;
  readonly place: string;
  readonly index: number | null;
  readonly count: number;
  readonly message: string;
}

export interface CheckProgressView {
  readonly kind: CheckKind;
  readonly correlationId: CorrelationId;
  readonly stage: string;
  readonly entries: number;
  readonly size: number;
  readonly differences: number;
}

export interface RepairProgressView {
  readonly correlationId: CorrelationId;
  readonly stage: string;
  readonly rows: number;
  readonly tiles: number;
  readonly emitters: number;
}

export interface SelfVerificationView {
  readonly sample: SelfCheckView | null;
  readonly full: SelfCheckView | null;
  readonly overdue: readonly CheckKind[];
  readonly running: readonly CheckProgressView[];
  readonly repair: RepairProgressView | null;
}

export const showSelfVerification = async (ctx: OperationContext): Promise<SelfVerificationView> => {
  const { reader } = ctx.instance.trail;
  await reader.fresh(2000);
  const last = await lastChecks(reader);
  const [sample, full, created] = await Promise.all([
    last.sample ? checkView('sample', ctx, last.sample) : null,
    last.full ? checkView('full', ctx, last.full) : null,
    reader.at(0),
  ]);
  const nowMs = ctx.services.nowMs();
  const endedMs = Object.fromEntries(Object.entries(last).map(([kind, event]) => [kind, endOf(event)]));
  const createdMs = created ? Date.parse(created.entry.receivedTime) : nowMs;
  const intervalsMs = ctx.services.checkIntervalsMs ?? usualIntervalsMs;
  return {
    sample,
    full,
    overdue: overdueKinds(endedMs, { intervalsMs, createdMs, nowMs }),
    running: await runningChecks(ctx),
    repair: await runningRepair(ctx),
  };
};

const endOf = ({ entry }: IndexedEvent): number => Date.parse(entry.receivedTime);

const checkView = async (kind: CheckKind, ctx: OperationContext, event: IndexedEvent): Promise<SelfCheckView> => {
  const { entry, index } = event;
  const alerts = await alertsOfCheck(ctx.instance.trail.reader, entry.correlationId);
  const differences = alerts.map(({ entry: alert }) =>
    differenceView(alert.resource?.kind, alert.endpoint, alert.count),
  );
  return {
    kind,
    correlationId: entry.correlationId,
    outcome: entry.outcome ?? 'unknown',
    incomplete: entry.error?.code === 'UNAVAILABLE',
    ended: entry.receivedTime,
    index,
    entries: entry.count ?? 0,
    differences,
    repairable: differences.some(({ place }) => isProjection(storeOf(place))),
  };
};

const differenceView = (kind: string | undefined, where: string | undefined, count = 1): LogDifferenceView => {
  const [, place = '', index] = /^(.*?)(?::(\d+))?$/.exec(where ?? '') ?? [];
  const at = index === undefined ? {} : { index: Number(index) };
  const known = differenceKinds.includes(kind as DifferenceKind);
  const difference: Difference = { kind: kind as DifferenceKind, store: storeOf(place), place, ...at };
  return {
    kind: kind ?? '',
    place,
    index: at.index ?? null,
    count,
    message: known ? describeDifference(difference) : '',
  };
};

const stores: Readonly<Record<string, Store>> = {
  segments: 'record',
  boxes: 'boxes',
  events: 'index',
  emitters: 'emitters',
  tiles: 'tiles',
  tile: 'tiles',
  anchors: 'anchors',
  archive: 'archive',
  witness: 'witness',
};
const storeOf = (place: string): Store => stores[place.split('/')[0]!] ?? 'record';

/** What goes on is asked of Temporal; where it is away, the record is still to be had. */
const runningChecks = async (ctx: OperationContext): Promise<CheckProgressView[]> => {
  const { instance } = ctx.caller;
  const handles = [requestedCheckId(instance), ...(await runningScheduled(ctx, instance))];
  const found = await Promise.all(handles.map((id) => progressOf<CheckProgress>(ctx, id, checkProgressQuery)));
  return found.flatMap((progress) => (progress && progress.stage !== 'ended' ? [viewOfCheck(progress)] : []));
};

/** A schedule adds the time to the id of each workflow that it starts. */
const runningScheduled = async (ctx: OperationContext, instance: InstanceId): Promise<string[]> => {
  const ids: string[] = [];
  const prefixes = checkKinds.map((kind) => `WorkflowId STARTS_WITH "${scheduledCheckId(instance, kind)}-"`);
  const query = `(${prefixes.join(' OR ')}) AND ExecutionStatus = "Running"`;
  try {
    for await (const { workflowId } of ctx.services.temporal.workflow.list({ query, pageSize: 10 }))
      ids.push(workflowId);
  } catch {
    return [];
  }
  return ids;
};

const runningRepair = async (ctx: OperationContext): Promise<RepairProgressView | null> => {
  const progress = await progressOf<RepairProgress>(ctx, repairId(ctx.caller.instance), repairProgressQuery);
  return progress && progress.stage !== 'ended' ? viewOfRepair(progress) : null;
};

const progressMs = 2000;

const progressOf = async <T>(
  { services }: OperationContext,
  workflowId: string,
  query: typeof checkProgressQuery | typeof repairProgressQuery,
): Promise<T | undefined> => {
  const { connection, workflow } = services.temporal;
  const handle = workflow.getHandle(workflowId);
  try {
    return await connection.withDeadline(Date.now() + progressMs, async () => {
      const { status } = await handle.describe();
      return status.name === 'RUNNING' ? ((await handle.query(query as never)) as T) : undefined;
    });
  } catch {
    // Not begun, or nobody answers now.
    return undefined;
  }
};

const correlationOf = (uuid: string): CorrelationId => uuid.replaceAll('-', '') as CorrelationId;

const viewOfCheck = ({ check, ...rest }: CheckProgress): CheckProgressView => ({
  correlationId: correlationOf(check),
  ...rest,
});

const viewOfRepair = ({ repair, stage, mended }: RepairProgress): RepairProgressView => ({
  correlationId: correlationOf(repair),
  stage,
  rows: mended.index,
  tiles: mended.tiles,
  emitters: mended.emitters,
});

/** One at a time: what goes on already is the answer, whatever its kind. */
export const startSelfVerification = async (ctx: OperationContext, kind: CheckKind): Promise<CheckProgressView> => {
  const { caller, services } = ctx;
  const { principal } = caller;
  const requestedBy = { principal, kind: caller.kind };
  const input: CheckInput = { instance: caller.instance, kind, check: randomUUID(), requestedBy };
  const workflowId = requestedCheckId(caller.instance);
  await askWorkflow(ctx, () =>
    services.temporal.workflow.start<typeof selfVerification>('selfVerification', {
      workflowId,
      taskQueue: (services.taskQueues ?? taskQueues).maintenance,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  const handle = services.temporal.workflow.getHandle(workflowId);
  const progress = await askWorkflow(ctx, () => handle.query<CheckProgress, []>(checkProgressQuery));
  return viewOfCheck(progress);
};

export const startRepair = async (ctx: OperationContext): Promise<RepairProgressView> => {
  const { caller, services } = ctx;
  const requestedBy = { principal: caller.principal, kind: caller.kind };
  const input: RepairInput = { instance: caller.instance, requestedBy, repair: randomUUID() };
  const workflowId = repairId(caller.instance);
  await askWorkflow(ctx, () =>
    services.temporal.workflow.start<typeof repairProjections>('repairProjections', {
      workflowId,
      taskQueue: (services.taskQueues ?? taskQueues).maintenance,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  const handle = services.temporal.workflow.getHandle(workflowId);
  const progress = await askWorkflow(ctx, () => handle.query<RepairProgress, []>(repairProgressQuery));
  return viewOfRepair(progress);
};
