/** All activities of a worker, by the names under which workflows ask for them. */
import type { ActionActivities } from '../domain/action/contract.ts';
import { createRecordApproval, createRequestApproval } from './action/approvals.ts';
import { createAttempt } from './action/attempt.ts';
import { createDecide } from './action/decide.ts';
import type { ActionDeps } from './action/deps.ts';
import { createFinish } from './action/finish.ts';
import { createReadBack } from './action/readBack.ts';
import { createRecordSettlement } from './action/recordSettlement.ts';
import { createSettleByReading } from './action/settleByReading.ts';

export const createActivities = (deps: ActionDeps): ActionActivities => ({
  decide: createDecide(deps),
  requestApproval: createRequestApproval(deps),
  recordApproval: createRecordApproval(deps),
  attempt: createAttempt(deps),
  settleByReading: createSettleByReading(deps),
  recordSettlement: createRecordSettlement(deps),
  readBack: createReadBack(deps),
  finish: createFinish(deps),
});
