/**
 * Creates an instance, all or nothing: step after step, each of which can be done again; only the last one makes it
 * visible. Where a step fails for good, takes too long or is cancelled, everything that was made is taken away again, and
 * the platform's log says so. A crash in between changes nothing: Temporal goes on with the step that was under way.
 */
import { CancelledFailure, CancellationScope, isCancellation, proxyActivities, sleep } from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import {
  finalCreationFailures,
  type CreateInstanceInput,
  type CreationEnd,
  type CreationFailure,
  type InstanceActivities,
} from '../domain/instances/contract.ts';

const retryMsMin = 200;

export const createInstance = async (input: CreateInstanceInput): Promise<CreationEnd> => {
  const { durations, ...reference } = input;
  const steps = proxyActivities<InstanceActivities>({
    startToCloseTimeout: durations.stepMs,
    heartbeatTimeout: durations.heartbeatMs,
    retry: { maximumAttempts: 1 },
  });
  /** A try that has begun is let end, so that nothing of it can come after its own undoing; between tries there is an end. */
  const untilDone = async <T>(step: () => Promise<T>): Promise<T> => {
    for (let waitMs = retryMsMin; ; waitMs = Math.min(2 * waitMs, durations.retryMsMax)) {
      if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('before a step');
      try {
        return await CancellationScope.nonCancellable(step);
      } catch (error) {
        if (failureOf(error) !== undefined) throw error;
      }
      await sleep(waitMs);
    }
  };
  const end = await CancellationScope.withTimeout(durations.giveUpMs, async () => {
    await untilDone(() => steps.reserveInstance(reference));
    await untilDone(() => steps.prepareInstanceDatabase(reference));
    await untilDone(() => steps.prepareInstanceKeys(reference));
    await untilDone(() => steps.prepareInstanceArchive(reference));
    await untilDone(() => steps.beginInstanceLog(reference));
    await untilDone(() => steps.activateInstance(reference));
  }).then(
    (): CreationEnd => ({ state: 'ACTIVE' }),
    (error: unknown): Promise<CreationEnd> =>
      // What was begun is undone, however long that takes.
      CancellationScope.nonCancellable(async () => {
        const left = await untilDone(() => steps.discardInstance(reference));
        return left === 'active' ? { state: 'ACTIVE' } : { state: 'UNDONE', code: codeOf(error) };
      }),
  );
  await CancellationScope.nonCancellable(() => untilDone(() => steps.recordCreation({ ...reference, end })));
  return end;
};

/** Why trying again can't help; undefined where it may. */
const failureOf = (error: unknown): CreationFailure | undefined => {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? finalCreationFailures[cause.type ?? ''] : undefined;
};

const codeOf = (error: unknown): CreationFailure =>
  isCancellation(error) ? 'TIMEOUT' : (failureOf(error) ?? 'INTERNAL');
