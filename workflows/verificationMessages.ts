/** What callers can ask of self-verification while it goes on. */
import { defineQuery } from '@temporalio/workflow';
import type { CheckProgress, RepairProgress } from '../domain/verification/contract.ts';

export const checkProgressQuery = defineQuery<CheckProgress>('checkProgress');
export const repairProgressQuery = defineQuery<RepairProgress>('repairProgress');
