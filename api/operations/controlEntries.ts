/** Changes control state: the entry first, then the applier. */
import type { ControlChange } from '../../schema/control.ts';
import { platformEvent, type EventInput } from '../../schema/event.ts';
import { newCorrelationId, newEventId, newSpanId } from '../../trail/recorder.ts';
import { ApiError } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { issuesOf } from './append.ts';

const appliedMs = 10_000;

/**
 * Answers with the entry's log index once it is applied. Throws BAD_INPUT where it has no effect (it is then recorded as
 * void), and TRAIL_UNAVAILABLE where the applier does not follow: the change stands and is applied later.
 */
export const recordControl = async (
  { caller, instance }: OperationContext,
  change: ControlChange,
  parts: NonNullable<EventInput['parts']>,
): Promise<number> => {
  const draft = {
    correlationId: newCorrelationId(),
    actor: { principal: caller.principal, kind: caller.kind },
    action: change.change,
    phase: 'outcome' as const,
    outcome: 'success' as const,
    system: 'trailkeeper' as const,
    control: change,
    parts,
  };
  const parsed = platformEvent.safeParse({
    ...draft,
    id: newEventId(),
    spanId: newSpanId(),
    emitter: { id: 'check', sequence: 1 },
    eventTime: new Date().toISOString(),
  });
  if (!parsed.success)
    throw new ApiError('BAD_INPUT', `it does not fit into an entry (${issuesOf(parsed.error, draft)})`);
  const [receipt] = await instance.controlRecorder.record([draft]);
  const { index } = receipt!;
  await instance.control.waitApplied(index, appliedMs);
  const reason = await instance.control.voidReason(index);
  if (reason) throw new ApiError('BAD_INPUT', `recorded, but without effect: ${reason.message}`);
  return index;
};
