/**
 * How a log that was restored from its archive goes on: under a new origin and a new key, on the same tree, once two
 * different people of the instance approved it. The order: each approval is kept; with the second, under what the log goes
 * on is decided, once; the entry that says all this is the first under the new origin; the applier makes it the
 * instance's log. A crash between any two is completed by the same call again, by either of the two.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { CorrelationId, EventId, PrincipalId } from '../schema/ids.ts';
import type { EventInput } from '../schema/event.ts';
import {
  findApprovals,
  keepApproval,
  keepContinuation,
  type Closing,
  type Continuation,
  type ContinuationApproval,
} from '../trail/closing.ts';
import { TrailError } from '../trail/errors.ts';
import { openTrail, type TrailOptions } from '../trail/trail.ts';
import { derivedEventId, derivedSpanId } from './derived-id.ts';

export const approvalsNeeded = 2;

export interface ContinueOptions extends Pick<TrailOptions, 'clients' | 'keys' | 'writer'> {
  readonly closing: Closing;
  readonly approver: PrincipalId;
  readonly reason: string;
  /** Whether somebody who approved earlier still may. */
  readonly stillMay: (principal: PrincipalId) => Promise<boolean>;
  readonly now: Date;
}

export type Continued =
  | { readonly state: 'waiting'; readonly approvals: readonly ContinuationApproval[] }
  | {
      readonly state: 'continued';
      readonly approvals: readonly ContinuationApproval[];
      readonly origin: string;
      /** Log index of the entry with which it goes on. */
      readonly index: number;
    };

/** Throws TrailError as an append does. */
export const approveContinuation = async (options: ContinueOptions): Promise<Continued> => {
  const { clients, closing, approver, reason, now } = options;
  await keepApproval(clients.anchor, closing.origin, { principal: approver, reason, at: now });
  const approvals: ContinuationApproval[] = [];
  for (const approval of await findApprovals(clients.anchor, closing.origin))
    if (await options.stillMay(approval.principal as PrincipalId)) approvals.push(approval);
  if (approvals.length < approvalsNeeded) return { state: 'waiting', approvals };
  const continuation = await keepContinuation(clients.anchor, closing.origin, proposal(closing, approvals, now));
  const { writer } = await openTrail(closing.instance, continuation.origin, options);
  const [result] = await writer.append([continuationEvent(closing, continuation)], 'platform');
  if (result!.status === 'refused')
    throw new TrailError('LOG_INCONSISTENT', `the log does not take its continuation: ${result!.refusal.code}`);
  const { origin } = continuation;
  return { state: 'continued', approvals: continuation.approvals, origin, index: result!.receipt.index };
};

/** Under the same host and path as before, with another opaque id. */
const proposal = ({ origin }: Closing, approvals: readonly ContinuationApproval[], at: Date): Continuation => {
  const logId = randomBytes(16).toString('hex');
  return {
    logId,
    origin: `${origin.slice(0, origin.lastIndexOf('/'))}/${logId}`,
    eventId: derivedEventId(at.getTime(), `log.continue\n${logId}`),
    approvals: approvals.slice(0, approvalsNeeded),
    at,
  };
};

/** The same each time, so that it stands in the log once. */
export const continuationEvent = (
  { origin, vkey, checkpoint, knownSize }: Closing,
  continuation: Continuation,
): EventInput => {
  const { logId, eventId, approvals, at } = continuation;
  const seed = `log.continue\n${logId}`;
  return {
    id: eventId as EventId,
    correlationId: createHash('sha256').update(seed).digest('hex').slice(0, 32) as CorrelationId,
    spanId: derivedSpanId(seed),
    emitter: { id: `platform/continuation/${logId}`, sequence: 1 },
    eventTime: at.toISOString(),
    actor: { principal: approvals.at(-1)!.principal as PrincipalId, kind: 'human' },
    action: 'log.continue',
    phase: 'outcome',
    outcome: 'success',
    system: 'trailkeeper',
    control: {
      change: 'log.continue',
      logId,
      origin: continuation.origin,
      former: { origin, vkey, checkpoint: checkpoint.note },
      missing: { first: checkpoint.size, ...(knownSize !== undefined && { size: knownSize }) },
      approvedBy: approvals.map(({ principal }) => principal),
    },
    parts: [
      {
        name: 'approvals',
        content: approvals.map(({ principal, reason, at: time }) => ({ principal, reason, time: time.toISOString() })),
      },
    ],
  };
};
