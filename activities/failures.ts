/**
 * What leaves an activity when it fails: a code, nothing else. Messages and causes may hold content, and a failure
 * stands in the workflow's history for good.
 */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { CompleteAsyncError } from '@temporalio/activity';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';

/** Thrown by an activity that gives up for good, where trying again can't help. */
export class FinalFailure extends Error {
  override readonly name = 'FinalFailure';
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

const codePattern = /^[A-Z][A-Z0-9_]{0,63}$/;

const codeOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && codePattern.test(code) ? code : 'INTERNAL';
};

export const failureInterceptor = (
  onError: (activity: string, error: unknown) => void,
  activity: string,
): ActivityInboundCallsInterceptor => ({
  async execute(input, next) {
    try {
      return await next(input);
    } catch (error) {
      if (error instanceof CompleteAsyncError || error instanceof CancelledFailure) throw error;
      onError(activity, error);
      const code = codeOf(error);
      const failure = ApplicationFailure.create({
        message: code,
        type: code,
        nonRetryable: error instanceof FinalFailure,
      });
      // The trace would only repeat where this was thrown.
      failure.stack = '';
      throw failure;
    }
  },
});
