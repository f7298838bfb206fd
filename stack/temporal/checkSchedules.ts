/**
 * The schedules of self-verification: one a kind of check and instance. They are made, put right and resumed whenever
 * workers look after them, so nobody who reaches Temporal alone can end them for good.
 */
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleOptions,
} from '@temporalio/client';
import { checkKinds, scheduledCheckId, type CheckInput, type CheckKind } from '../../domain/verification/contract.ts';
import type { CheckIntervals } from '../../domain/verification/schedule.ts';
import type { InstanceId } from '../../schema/ids.ts';

export interface CheckSchedulesOptions {
  readonly client: Client;
  readonly intervalsMs: CheckIntervals;
  readonly taskQueue: string;
  /** Told of a schedule that was paused, or was not as it should be. */
  readonly onMended: (instance: InstanceId, kind: CheckKind) => void;
}

/** Resolves when both schedules of the instance are there and as they should be. */
export const ensureCheckSchedules = async (options: CheckSchedulesOptions, instance: InstanceId): Promise<void> => {
  for (const kind of checkKinds) await ensure(options, instance, kind);
};

const ensure = async (options: CheckSchedulesOptions, instance: InstanceId, kind: CheckKind): Promise<void> => {
  const { client, onMended } = options;
  const wanted = scheduleOf(options, instance, kind);
  const handle = client.schedule.getHandle(wanted.scheduleId);
  try {
    const { spec, state } = await handle.describe();
    const [interval] = spec.intervals ?? [];
    if (!state.paused && spec.intervals?.length === 1 && Number(interval?.every) === options.intervalsMs[kind]) return;
    await handle.update(() => ({ ...wanted, state: { paused: false } }));
    onMended(instance, kind);
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    try {
      await client.schedule.create(wanted);
    } catch (cause) {
      // Another worker was first.
      if (!(cause instanceof ScheduleAlreadyRunning)) throw cause;
    }
  }
};

const scheduleOf = (
  { intervalsMs, taskQueue }: CheckSchedulesOptions,
  instance: InstanceId,
  kind: CheckKind,
): ScheduleOptions => {
  const everyMs = intervalsMs[kind];
  const input: CheckInput = { instance, kind };
  return {
    scheduleId: scheduledCheckId(instance, kind),
    // Instances take turns, and do not all begin at the same time.
    spec: {
      intervals: [{ every: everyMs, offset: Math.floor((everyMs / 1000) * shareOf(`${instance}/${kind}`)) * 1000 }],
    },
    action: {
      type: 'startWorkflow',
      workflowType: 'selfVerification',
      workflowId: scheduledCheckId(instance, kind),
      taskQueue,
      args: [input],
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: everyMs },
  };
};

/** From 0 to 1, by the name. */
const shareOf = (name: string): number => {
  let hash = 0;
  for (const letter of name) hash = (Math.imul(hash, 31) + letter.codePointAt(0)!) >>> 0;
  return hash / 2 ** 32;
};
