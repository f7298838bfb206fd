import type { KeyActivities } from '../../domain/keys/contract.ts';
import type { KeyDeps } from './deps.ts';
import { createDestroyEpoch, createDestroySeed } from './destroyKeys.ts';
import { createMakeKey } from './makeKey.ts';
import { createCompleteMaster, createPrepareMaster, createRecordMaster } from './rotateMaster.ts';
import { createMoveToEpoch } from './moveToEpoch.ts';
import { createChangeKey, createRecordKeyOutcome } from './recordKeys.ts';

export const createKeyActivities = (deps: KeyDeps): KeyActivities => ({
  makeKey: createMakeKey(deps),
  changeKey: createChangeKey(deps),
  moveToEpoch: createMoveToEpoch(deps),
  destroySeed: createDestroySeed(deps),
  destroyEpoch: createDestroyEpoch(deps),
  recordKeyOutcome: createRecordKeyOutcome(deps),
  prepareMaster: createPrepareMaster(deps),
  recordMaster: createRecordMaster(deps),
  completeMaster: createCompleteMaster(deps),
});
