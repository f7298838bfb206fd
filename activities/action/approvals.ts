/** Records that an approval was asked for, and the one decision that binds. */
import { Context } from '@temporalio/activity';
import type { RecordApprovalInput, RequestApprovalInput } from '../../domain/action/contract.ts';
import { ActionLog } from './actionLog.ts';
import type { ActionDeps } from './deps.ts';
import { entryOf, platformActor, spanOf } from './entries.ts';
import { loadIntentEntry } from './intent.ts';

export const createRequestApproval =
  (deps: ActionDeps) =>
  async (input: RequestApprovalInput): Promise<void> => {
    const instance = await deps.open(input.instance);
    const { entry: intent } = await loadIntentEntry(instance, input);
    const { slot, causedBy, expiresMs, parametersDigest } = input;
    const log = new ActionLog(instance.trail, Context.current().cancellationSignal);
    await log.append([
      entryOf(intent, new Date(deps.nowMs()).toISOString(), {
        ...slot,
        spanId: spanOf(slot.id),
        causedBy,
        action: 'approval.request',
        phase: 'intent',
        outcome: 'pending',
        system: intent.system,
        parametersDigest,
        actor: platformActor,
        parts: [{ name: 'request', content: { expires: new Date(expiresMs).toISOString() } }],
      }),
    ]);
  };

export const createRecordApproval =
  (deps: ActionDeps) =>
  async (input: RecordApprovalInput): Promise<void> => {
    const instance = await deps.open(input.instance);
    const { entry: intent } = await loadIntentEntry(instance, input);
    const { slot, decision, parametersDigest } = input;
    const log = new ActionLog(instance.trail, Context.current().cancellationSignal);
    const approved = decision.decision === 'APPROVE';
    await log.append([
      entryOf(intent, new Date(deps.nowMs()).toISOString(), {
        ...slot,
        spanId: spanOf(slot.id),
        causedBy: decision.entry,
        action: 'approval.decide',
        phase: 'decision',
        outcome: approved ? 'success' : 'denied',
        system: intent.system,
        parametersDigest,
        actor: { principal: decision.by, kind: decision.kind },
        ...(!approved && { error: { code: 'APPROVAL_DENIED' as const } }),
      }),
    ]);
  };
