/** What resolvers hand on where the GraphQL type has fields that are resolved later, and only if they are asked for. */
import type { RecordedEvent } from './event.ts';
import type { EventId, PrincipalId, RunId } from './ids.ts';
import type { ErrorCode, Outcome } from './taxonomy.ts';

/** One part of an event's payload, before it is read. */
export interface PartOfEvent {
  readonly event: RecordedEvent;
  readonly name: string;
}

/** A guarded action as a caller sees it; its results are payload. */
export interface ActionView {
  readonly id: EventId;
  readonly runId: RunId;
  readonly state:
    | 'DECIDING'
    | 'AWAITING_APPROVAL'
    | 'ATTEMPTING'
    | 'UNKNOWN'
    | 'VERIFYING'
    | 'SUCCEEDED'
    | 'DENIED'
    | 'FAILED';
  readonly outcome?: Outcome;
  readonly error?: ErrorCode;
  readonly parametersDigest: string;
  readonly approval?: {
    readonly state: 'PENDING' | 'APPROVED' | 'DENIED' | 'EXPIRED';
    readonly expires: string;
    readonly decidedBy?: PrincipalId;
  };
  readonly attempts: number;
  readonly objects: { readonly succeeded: number; readonly failed: number; readonly notTried: number };
}
