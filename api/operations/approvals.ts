/** Decides on an action that waits for a person. */
import { actionWorkflowId } from '../../domain/action/contract.ts';
import type { EventId } from '../../schema/ids.ts';
import type { ActionView } from '../../schema/views.ts';
import { decideUpdate } from '../../workflows/messages.ts';
import type { OperationContext } from '../context.ts';
import { withTrace } from '../trace.ts';
import { viewOf } from './actionView.ts';
import { findIntent } from './intents.ts';
import { refusalOfWord } from './refusedWords.ts';
import { askWorkflow } from './workflowCalls.ts';

export interface DecideActionInput {
  readonly id: EventId;
  readonly decision: 'APPROVE' | 'DENY';
  readonly parametersDigest: string;
  readonly reason?: string;
}

/**
 * Who decided what, and why, is recorded first, also where it then does not count: that somebody tried to approve their
 * own action is worth knowing. The workflow appends the decision that binds.
 */
export const decideAction = async (ctx: OperationContext, input: DecideActionInput): Promise<ActionView> => {
  const { caller, services } = ctx;
  const { entry: intent } = await findIntent(ctx, input.id);
  const { id, decision, parametersDigest, reason } = input;
  const [receipt] = await ctx.instance.recorder.record([
    {
      correlationId: intent.correlationId,
      parentSpanId: intent.spanId,
      causedBy: intent.id,
      ...(intent.runId && { runId: intent.runId }),
      actor: { principal: caller.principal, kind: caller.kind },
      action: 'approval.decide',
      phase: 'intent',
      system: intent.system,
      parametersDigest,
      parts: [{ name: 'reason', content: { decision, ...(reason !== undefined && { reason }) } }],
    },
  ]);
  const handle = services.temporal.workflow.getHandle(actionWorkflowId(caller.instance, id));
  const trace = { correlationId: intent.correlationId, spanId: intent.spanId };
  const given = { decision, by: caller.principal, kind: caller.kind, parametersDigest, entry: receipt!.id };
  try {
    const progress = await withTrace(trace, () =>
      askWorkflow(ctx, () => handle.executeUpdate(decideUpdate, { args: [given], updateId: receipt!.id })),
    );
    return viewOf(intent, progress);
  } catch (error) {
    const word = { action: 'approval.decide', entry: receipt!.id, whenOver: 'APPROVAL_NOT_PENDING' } as const;
    throw await refusalOfWord(ctx, intent, word, error);
  }
};
