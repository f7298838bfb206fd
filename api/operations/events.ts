/** Takes what an agent's own runtime observed, whichever door it came by. Each event is answered for itself. */
import type { EventInput } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import type { OperationContext } from '../context.ts';
import type { ApiErrorCode } from '../errors.ts';
import { codeOfRefusal } from './append.ts';
import { incoming, type Incoming } from './incoming.ts';
import { recordRefusals } from './refusedInput.ts';
import { admitReported, isRefused, type Admitted } from './reportedEvents.ts';

export interface RecordResult {
  readonly status: 'accepted' | 'duplicate' | 'refused';
  readonly receipt: {
    readonly id: EventId;
    readonly index: number;
    readonly leafHash: string;
    readonly checkpoint: string;
  } | null;
  readonly refusal: { readonly code: ApiErrorCode; readonly message: string } | null;
}

/** Results in the order of the events. Throws TrailError where the trail is away or its queue full. */
export const recordEvents = async (ctx: OperationContext, events: readonly unknown[]): Promise<RecordResult[]> => {
  const taken = events.map(incoming);
  return appendAdmitted(ctx, taken, await admitReported(ctx, taken));
};

/**
 * Appends those of `events` that were admitted (`admitReported`), and records the refusals. What is called first is
 * appended first, whatever is awaited in between.
 */
export const appendAdmitted = async (
  ctx: OperationContext,
  events: readonly Incoming[],
  admitted: readonly Admitted[],
): Promise<RecordResult[]> => {
  const accepted = admitted.filter((one): one is EventInput => !isRefused(one));
  const results = accepted.length > 0 ? await ctx.instance.trail.writer.append(accepted, 'reported') : [];
  let next = 0;
  const answers = admitted.map((one): RecordResult => {
    if (isRefused(one)) return { status: 'refused', receipt: null, refusal: one };
    const result = results[next++]!;
    if (result.status !== 'refused') return { status: result.status, receipt: result.receipt, refusal: null };
    const { code, message } = result.refusal;
    return { status: 'refused', receipt: null, refusal: { code: codeOfRefusal(code), message } };
  });
  await recordRefusals(
    ctx,
    answers.flatMap(({ refusal }, place) => (refusal ? [{ input: events[place]!, code: refusal.code }] : [])),
  );
  return answers;
};
