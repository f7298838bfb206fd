/**
 * Makes the projections of one log what its record says: rows of the index, tiles, the state of emitters, each where it
 * differs and nowhere else. The record is only read. What was mended is recorded.
 */
import { continueAsNew, proxyActivities, setHandler, workflowInfo } from '@temporalio/workflow';
import {
  repairStages,
  type Mended,
  type RepairInput,
  type RepairProgress,
  type RepairState,
  type VerificationActivities,
} from '../domain/verification/contract.ts';
import { newEntryId } from './entryNumbers.ts';
import { repairProgressQuery } from './verificationMessages.ts';

const retry = { initialInterval: 500, backoffCoefficient: 2, maximumInterval: '1 minute' } as const;
const { recordRepair } = proxyActivities<Pick<VerificationActivities, 'recordRepair'>>({
  startToCloseTimeout: '5 minutes',
  retry,
});
const { repairStage } = proxyActivities<Pick<VerificationActivities, 'repairStage'>>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '30 seconds',
  retry,
});

const stepsPerHistoryUsual = 500;
const nothingMended: Mended = { index: 0, tiles: 0, emitters: 0 };

export const repairProjections = async (input: RepairInput): Promise<RepairProgress> => {
  const { instance, repair, requestedBy } = input;
  let state = input.carried;
  let ended = false;
  const progress = (): RepairProgress => ({
    repair,
    stage: ended ? 'ended' : (repairStages[state?.stage ?? 0] ?? 'ended'),
    mended: state?.mended ?? nothingMended,
  });
  setHandler(repairProgressQuery, progress);
  state ??= await begin(input);
  for (let steps = 0; state.stage < repairStages.length; steps += 1) {
    if (steps >= (input.stepsPerHistory ?? stepsPerHistoryUsual) || workflowInfo().continueAsNewSuggested)
      return continueAsNew<typeof repairProjections>({ ...input, carried: state });
    state = await step(input, state);
  }
  const { intent, mended } = state;
  const end = { entry: newEntryId(), mended };
  await recordRepair({ instance, repair, requestedBy, intent, nowMs: Date.now(), ended: end });
  ended = true;
  return progress();
};

const begin = async ({ instance, repair, requestedBy }: RepairInput): Promise<RepairState> => {
  const intent = newEntryId();
  const { size } = await recordRepair({ instance, repair, requestedBy, intent, nowMs: Date.now() });
  return { intent, size, stage: 0, mended: nothingMended };
};

const step = async ({ instance }: RepairInput, state: RepairState): Promise<RepairState> => {
  const { cursor: from, ...rest } = state;
  const stage = repairStages[state.stage]!;
  const { cursor, mended } = await repairStage({ instance, stage, size: state.size, ...(from && { cursor: from }) });
  return {
    ...rest,
    stage: cursor ? state.stage : state.stage + 1,
    ...(cursor && { cursor }),
    mended: {
      index: state.mended.index + (mended.index ?? 0),
      tiles: state.mended.tiles + (mended.tiles ?? 0),
      emitters: state.mended.emitters + (mended.emitters ?? 0),
    },
  };
};
