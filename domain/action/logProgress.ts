/** How an action stands, told from its entries alone: for when its workflow is away or forgotten. */
import type { RecordedEvent } from '../../schema/event.ts';
import { beginning, ended, going, inDoubt, type ActionProgress } from './progress.ts';
import type { ApprovalState } from './approval.ts';

/** `events`: the entries of the action's emitter in log order, with the part `request` of an approval's request. */
export const progressFromLog = (events: readonly RecordedEvent[]): ActionProgress => {
  let progress = beginning;
  let expiresMs = 0;
  /** Objects of the call before, where it has more than one. */
  let members: number | undefined;
  for (const event of events) {
    const { entry } = event;
    if (entry.action === 'approval.request') {
      expiresMs = expiryOf(event);
      progress = { ...progress, state: 'AWAITING_APPROVAL', approval: { state: 'PENDING', expiresMs } };
    } else if (entry.action === 'approval.decide') {
      const state = entry.outcome === 'success' ? 'APPROVED' : 'DENIED';
      const approval: ApprovalState = { state, expiresMs, decidedBy: entry.actor.principal };
      progress = { ...going(progress, 'DECIDING'), approval };
    } else if (entry.action === 'action.settle') {
      const success = entry.outcome === 'success';
      progress = ended(counted(progress, success, members ?? 1), success ? 'success' : 'failure', progress.error);
    } else if (entry.batch === undefined) {
      if (entry.phase === 'attempt') members = entry.count;
      progress = afterCallEntry(progress, event);
      // Where a call has objects with entries of their own, these are counted when they come.
      const whole = members === undefined ? 1 : entry.count === undefined ? members : 0;
      if (entry.phase === 'outcome' && entry.attempt !== undefined) {
        if (entry.outcome === 'failure') progress = counted(progress, false, whole);
        else if (entry.outcome === 'success' && members === undefined) progress = counted(progress, true, 1);
      }
    } else if (entry.phase === 'outcome') {
      const { succeeded, failed } = progress.objects;
      const objects =
        entry.outcome === 'success' ? { succeeded: succeeded + 1, failed } : { succeeded, failed: failed + 1 };
      progress = { ...progress, objects };
      if (entry.outcome !== 'success') progress = ended(progress, 'failure', entry.error?.code ?? progress.error);
    }
  }
  return progress;
};

const counted = (progress: ActionProgress, success: boolean, count: number): ActionProgress => {
  const { succeeded, failed } = progress.objects;
  const objects = success ? { succeeded: succeeded + count, failed } : { succeeded, failed: failed + count };
  return { ...progress, objects };
};

const afterCallEntry = (progress: ActionProgress, { entry }: RecordedEvent): ActionProgress => {
  if (entry.phase === 'attempt') return { ...going(progress, 'ATTEMPTING'), attempts: progress.attempts + 1 };
  if (entry.phase === 'verified')
    return entry.outcome === 'failure' ? ended(progress, 'failure', entry.error?.code) : progress;
  if (entry.phase !== 'outcome') return progress;
  const code = entry.error?.code;
  if (entry.outcome === 'success') return { ...ended(progress, 'success'), answers: [...progress.answers, entry.id] };
  if (entry.outcome === 'failure') return ended(progress, 'failure', code);
  if (entry.outcome === 'unknown') return inDoubt(progress, code);
  if (entry.outcome !== 'denied') return going(progress, 'ATTEMPTING');
  const denied = ended(progress, 'denied', code);
  const expired = code === 'APPROVAL_EXPIRED' ? progress.approval : undefined;
  return expired ? { ...denied, approval: { state: 'EXPIRED', expiresMs: expired.expiresMs } } : denied;
};

const expiryOf = ({ parts }: RecordedEvent): number => {
  const part = parts?.['request'];
  const content = part?.state === 'present' ? part.content : undefined;
  const expires =
    typeof content === 'object' && content !== null && !Array.isArray(content) ? content['expires'] : undefined;
  return typeof expires === 'string' ? Date.parse(expires) : 0;
};
