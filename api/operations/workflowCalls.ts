/** Asks Temporal for something, and says in the API's words where that fails. */
import { setTimeout as delay } from 'node:timers/promises';
import {
  ServiceError,
  type Client,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { ApiError, isApiErrorCode } from '../errors.ts';
import type { OperationContext } from '../context.ts';

/** How long a workflow may take to answer where Temporal is there; longer than a worker under load needs. */
const answerMs = 25_000;
/** After each such time without an answer, Temporal is asked whether it is there at all. */
const patienceMs = 3000;
const presenceMs = 2000;

/** A workflow's refusal of an update, by the code that its validator threw. */
export class WorkflowRefusal extends Error {
  override readonly name = 'WorkflowRefusal';
  readonly code: string;

  constructor(code: string, options?: ErrorOptions) {
    super(`refused: ${code}`, options);
    this.code = code;
  }
}

const messages: Readonly<Record<string, string>> = {
  RUN_CLOSED: 'the run is closed; open a new one',
  BUDGET_EXCEEDED: "the run's budget of actions is used up; open a new run",
  APPROVAL_NOT_PENDING: 'the action does not wait for approval, or it was decided already',
  APPROVAL_EXPIRED: 'the time for approving this action is over',
  APPROVER_IS_REQUESTER: 'nobody decides on what they, or an agent that acts for them, asked for',
  PARAMETERS_CHANGED: "the digest is not that of the action's parameters; look at the action again",
  ACTION_NOT_UNKNOWN: 'the outcome of this action is not unknown; there is nothing to settle',
};

/** Throws WorkflowRefusal, WorkflowNotFoundError, and WORKFLOWS_UNAVAILABLE where Temporal or its workers are away. */
export const askWorkflow = async <T>(
  { services }: Pick<OperationContext, 'services'>,
  ask: () => Promise<T>,
  waitMs = answerMs,
): Promise<T> => {
  const { connection } = services.temporal;
  const over = new AbortController();
  const answer = connection.withAbortSignal(over.signal, () => connection.withDeadline(Date.now() + waitMs, ask));
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, absence(services.temporal, over.signal)]);
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
      throw new WorkflowRefusal(error.cause.type ?? 'INTERNAL', { cause: error });
    if (isAway(error))
      throw new ApiError('WORKFLOWS_UNAVAILABLE', 'Temporal can not be reached now; try again with the same ids', {
        cause: error,
      });
    throw error;
  } finally {
    over.abort();
  }
};

/** Never resolves; rejects as soon as Temporal does not answer for itself. */
const absence = async ({ connection }: Client, signal: AbortSignal): Promise<never> => {
  for (;;) {
    await delay(patienceMs, undefined, { signal });
    try {
      await connection.withDeadline(Date.now() + presenceMs, () => connection.workflowService.getSystemInfo({}));
    } catch (cause) {
      throw new ServiceError('Temporal does not answer', { cause: cause as Error });
    }
  }
};

/** A missing workflow has an error class of its own; every other failed request may pass. */
const isAway = (error: unknown): boolean =>
  error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || error instanceof ServiceError;

/** What the caller of the API is told. */
export const toApiRefusal = (error: unknown): unknown =>
  error instanceof WorkflowRefusal && isApiErrorCode(error.code)
    ? new ApiError(error.code, messages[error.code] ?? error.message, { cause: error })
    : error;
