/** Records that a person's word on an action (a decision, a settlement) did not count, and why. */
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Entry } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import type { ErrorCode } from '../../schema/taxonomy.ts';
import type { OperationContext } from '../context.ts';
import { toApiRefusal, WorkflowRefusal } from './workflowCalls.ts';

/** What the record says, for each code that a workflow refuses a person's word with. */
const recordedCodes: Readonly<Record<string, ErrorCode>> = {
  PARAMETERS_CHANGED: 'PARAMETERS_CHANGED',
  APPROVAL_EXPIRED: 'APPROVAL_EXPIRED',
  APPROVER_IS_REQUESTER: 'POLICY_DENIED',
  // Decided, settled or never asked for: the action is in another state than the person took it to be.
  APPROVAL_NOT_PENDING: 'CONFLICT',
  ACTION_NOT_UNKNOWN: 'CONFLICT',
};

export interface SpokenWord {
  readonly action: 'approval.decide' | 'action.settle';
  /** The entry that says who said what. */
  readonly entry: EventId;
  /** What a workflow that is over would refuse it with. */
  readonly whenOver: 'APPROVAL_NOT_PENDING' | 'ACTION_NOT_UNKNOWN';
}

/**
 * The error to throw for one that asking the workflow brought. A refusal stands in the log before it is told, as the
 * outcome `denied` of what was said. Where Temporal was away nobody refused anything, and nothing is recorded.
 */
export const refusalOfWord = async (
  { instance, caller }: OperationContext,
  intent: Entry,
  { action, entry, whenOver }: SpokenWord,
  error: unknown,
): Promise<unknown> => {
  const refused = error instanceof WorkflowNotFoundError ? new WorkflowRefusal(whenOver) : error;
  const code = refused instanceof WorkflowRefusal ? recordedCodes[refused.code] : undefined;
  if (code !== undefined) {
    await instance.recorder.record([
      {
        correlationId: intent.correlationId,
        parentSpanId: intent.spanId,
        causedBy: entry,
        ...(intent.runId && { runId: intent.runId }),
        actor: { principal: caller.principal, kind: caller.kind },
        action,
        phase: 'outcome',
        outcome: 'denied',
        system: intent.system,
        error: { code },
      },
    ]);
  }
  return toApiRefusal(refused);
};
