import type { VerificationActivities } from '../../domain/verification/contract.ts';
import { createCheckStage } from './checkStage.ts';
import type { VerificationDeps } from './deps.ts';
import { createBeginCheck, createFinishCheck, createRecordRepair } from './recordCheck.ts';
import { createRepairStage } from './repairStage.ts';

/** The activities of self-verification, by the names under which workflows ask for them. */
export const createVerificationActivities = (deps: VerificationDeps): VerificationActivities => ({
  beginCheck: createBeginCheck(deps),
  checkStage: createCheckStage(deps),
  finishCheck: createFinishCheck(deps),
  recordRepair: createRecordRepair(deps),
  repairStage: createRepairStage(deps),
});
