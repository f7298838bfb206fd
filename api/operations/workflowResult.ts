import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import type { OperationContext } from '../context.ts';

/** Waits for a workflow's end, and no longer than that. How it ended is in the log. */
export const waitForResult = async (
  { services }: Pick<OperationContext, 'services'>,
  workflowId: string,
  waitMs: number,
): Promise<void> => {
  if (waitMs === 0) return;
  const { connection } = services.temporal;
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), waitMs);
  try {
    await connection.withAbortSignal(over.signal, () => services.temporal.workflow.getHandle(workflowId).result());
  } catch (error) {
    // Ended from outside: the same call again goes on with it.
    if (over.signal.aborted || error instanceof WorkflowNotFoundError || error instanceof WorkflowFailedError) return;
    throw error;
  } finally {
    clearTimeout(timer);
  }
};
