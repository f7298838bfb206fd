/**
 * The platform's own check of one log: settles what is to be checked, goes through the stages a step at a time, and
 * records what was found. A stage that can't be looked at now is said so, and the others go on. A crash of a worker loses
 * one step, which is taken again; the workflow continues as new and carries where it stands.
 */
import { continueAsNew, isCancellation, proxyActivities, setHandler, uuid4, workflowInfo } from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import {
  checkStages,
  type CheckInput,
  type CheckProgress,
  type CheckStage,
  type CheckStageResult,
  type CheckState,
  type VerificationActivities,
} from '../domain/verification/contract.ts';
import { alertsOf } from '../domain/verification/alerts.ts';
import { added, lookedAtNothing } from '../domain/verification/looked.ts';
import { emptyTally, hasIn, merged, totalOf } from '../domain/verification/tally.ts';
import { newEntryId } from './entryNumbers.ts';
import { checkProgressQuery } from './verificationMessages.ts';

/** Recording waits for the trail for as long as it takes. */
const recording = proxyActivities<Pick<VerificationActivities, 'beginCheck' | 'finishCheck'>>({
  startToCloseTimeout: '5 minutes',
  retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** A step ends in seconds but for what can't be cut: one emitter with a million entries. */
const checking = proxyActivities<Pick<VerificationActivities, 'checkStage'>>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '30 seconds',
  retry: { initialInterval: 1000, backoffCoefficient: 2, maximumInterval: '1 minute', maximumAttempts: 8 },
});

const stepsPerHistoryUsual = 500;

export const selfVerification = async (input: CheckInput): Promise<{ index: number; differences: number }> => {
  const { instance, kind } = input;
  const check = input.carried?.check ?? input.check ?? uuid4();
  let state = input.carried;
  let ended = false;
  setHandler(checkProgressQuery, (): CheckProgress => {
    const stage = ended ? 'ended' : (checkStages[state?.stage ?? 0] ?? 'ended');
    const differences = state ? totalOf(state.found) : 0;
    return { check, kind, stage, entries: state?.looked.entries ?? 0, size: state?.plan.size ?? 0, differences };
  });

  state ??= await begin(input, check);
  for (let steps = 0; state.stage < checkStages.length; steps += 1) {
    if (steps >= (input.stepsPerHistory ?? stepsPerHistoryUsual) || workflowInfo().continueAsNewSuggested)
      return continueAsNew<typeof selfVerification>({ ...input, carried: state });
    state = await step(input, state);
  }
  const entries = [...alertsOf(state.found), 'outcome'].map(newEntryId);
  const { index } = await recording.finishCheck({ instance, kind, state, entries, nowMs: Date.now() });
  ended = true;
  return { index, differences: totalOf(state.found) };
};

const begin = async ({ instance, kind, requestedBy, ...input }: CheckInput, check: string): Promise<CheckState> => {
  const seed = input.seed ?? check;
  const intent = newEntryId();
  const beganMs = Date.now();
  const plan = await recording.beginCheck({
    instance,
    kind,
    check,
    seed,
    intent,
    nowMs: beganMs,
    ...(requestedBy && { requestedBy }),
  });
  return { check, seed, intent, beganMs, plan, stage: 0, looked: lookedAtNothing, found: emptyTally, unchecked: [] };
};

const step = async ({ instance, kind }: CheckInput, state: CheckState): Promise<CheckState> => {
  const { plan, seed, cursor: from, ...rest } = state;
  const stage = checkStages[state.stage]!;
  // The state of emitters is compared with the index: where that differs, it says nothing about them.
  if (stage === 'emitters' && hasIn(state.found, 'index'))
    return { ...rest, plan, seed, ...passedOver(state, stage, 'INDEX_DIFFERS') };
  let result: CheckStageResult;
  try {
    result = await checking.checkStage({ instance, kind, stage, seed, plan, ...(from && { cursor: from }) });
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { ...rest, plan, seed, ...passedOver(state, stage, codeOf(error)) };
  }
  const { cursor, looked, found } = result;
  return {
    ...rest,
    plan,
    seed,
    stage: cursor ? state.stage : state.stage + 1,
    ...(cursor && { cursor }),
    looked: added(state.looked, looked),
    found: merged(state.found, found),
  };
};

const passedOver = (state: CheckState, stage: CheckStage, code: string): Pick<CheckState, 'stage' | 'unchecked'> => ({
  stage: state.stage + 1,
  unchecked: [...state.unchecked, { stage, code }],
});

const codeOf = (error: unknown): string => {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && cause.type ? cause.type : 'TIMEOUT';
};
