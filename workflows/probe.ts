/** The isolation probe: every attempt is made once, and what came of it is recorded, however long that takes. */
import { proxyActivities, sleep, uuid4 } from '@temporalio/workflow';
import { eventIdOf } from '../domain/action/entryIds.ts';
import type { ProbeActivities, ProbeAttempt, ProbeInput, ProbeSummary } from '../domain/isolation/contract.ts';

const retryMsMin = 200;

export const isolationProbe = async (input: ProbeInput): Promise<ProbeSummary> => {
  const probe = input.request ?? eventIdOf(Date.now(), uuid4());
  const { attemptCrossings, recordProbe } = proxyActivities<ProbeActivities>({
    startToCloseTimeout: input.attemptsMs,
    heartbeatTimeout: 20_000,
    retry: { maximumAttempts: 1 },
  });
  let attempts: readonly ProbeAttempt[] = [];
  try {
    attempts = await attemptCrossings({ ...input, probe });
  } catch {
    // The canary could not even begin. That is a result too: nothing is known of any boundary.
  }
  for (let waitMs = retryMsMin; ; waitMs = Math.min(2 * waitMs, input.retryMsMax)) {
    try {
      return await recordProbe({ ...input, probe, attempts });
    } catch {
      await sleep(waitMs);
    }
  }
};
