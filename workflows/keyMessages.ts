import { defineQuery } from '@temporalio/workflow';
import type { RotationProgress } from '../domain/keys/contract.ts';

export const rotationProgressQuery = defineQuery<RotationProgress>('progress');
