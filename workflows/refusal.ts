import { ApplicationFailure } from '@temporalio/workflow';

/** What a validator throws. Nothing of a refused update stands in the history. */
export const refusal = (code: string): ApplicationFailure =>
  ApplicationFailure.create({ message: code, type: code, nonRetryable: true });
