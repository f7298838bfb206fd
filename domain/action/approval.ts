/** One approval of one action: bound to its exact parameters, used once, expiring, never by who asked for it. */
import type { EventId, PrincipalId } from '../../schema/ids.ts';
import type { ActorKind } from '../../schema/taxonomy.ts';

export interface Decision {
  readonly decision: 'APPROVE' | 'DENY';
  readonly by: PrincipalId;
  readonly kind: ActorKind;
  readonly parametersDigest: string;
  /** The entry that says who decided what and why; the binding one refers to it. */
  readonly entry: EventId;
}

export type ApprovalState =
  | { readonly state: 'PENDING'; readonly expiresMs: number }
  | { readonly state: 'APPROVED' | 'DENIED'; readonly expiresMs: number; readonly decidedBy: PrincipalId }
  | { readonly state: 'EXPIRED'; readonly expiresMs: number };

export type DecisionRefusal =
  | 'APPROVAL_NOT_PENDING'
  | 'APPROVAL_EXPIRED'
  | 'APPROVER_IS_REQUESTER'
  | 'PARAMETERS_CHANGED';

export interface AskedFor {
  readonly agent: PrincipalId;
  readonly onBehalfOf?: PrincipalId;
  readonly parametersDigest: string;
}

/** Why a decision does not count; undefined where it does. The first one that counts is final, a denial like an approval. */
export const refusalOfDecision = (
  approval: ApprovalState | undefined,
  asked: AskedFor,
  decision: Decision,
  nowMs: number,
): DecisionRefusal | undefined => {
  if (approval === undefined) return 'APPROVAL_NOT_PENDING';
  if (approval.state === 'EXPIRED') return 'APPROVAL_EXPIRED';
  if (approval.state !== 'PENDING') return 'APPROVAL_NOT_PENDING';
  if (nowMs >= approval.expiresMs) return 'APPROVAL_EXPIRED';
  if (decision.by === asked.agent || decision.by === asked.onBehalfOf) return 'APPROVER_IS_REQUESTER';
  if (decision.kind !== 'human') return 'APPROVER_IS_REQUESTER';
  return decision.parametersDigest === asked.parametersDigest ? undefined : 'PARAMETERS_CHANGED';
};
