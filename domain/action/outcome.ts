/** What a vendor call that did not succeed means for the action. */
import type { ErrorCode, Outcome } from '../../schema/taxonomy.ts';

/** A failed call, as its connector reports it. */
export interface CallFailure {
  readonly code: ErrorCode;
  readonly tookEffect: 'no' | 'unknown';
}

export interface CallKind {
  readonly effect: 'read' | 'write' | 'irreversible';
  readonly idempotency: 'key' | 'conditional' | 'none';
}

export interface CallPosition {
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  readonly attemptsMax: number;
  /** The same attempt was begun before, and nobody knows how far it came. */
  readonly repeated: boolean;
}

/** Refusals that pass by themselves. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['RATE_LIMITED', 'UNAVAILABLE', 'TIMEOUT']);

/**
 * `retry` only where a further call can do no harm: the vendor did nothing, or it recognises the call by its key. A
 * refusal of a repeated conditional write may be the mark of the first one's success, so it settles nothing.
 */
export const outcomeOfFailure = (
  { code, tookEffect }: CallFailure,
  { effect, idempotency }: CallKind,
  { attempt, attemptsMax, repeated }: CallPosition,
): Extract<Outcome, 'retry' | 'failure' | 'unknown'> => {
  const more = attempt < attemptsMax;
  if (effect === 'read') return more && passing.has(code) ? 'retry' : 'failure';
  if (tookEffect === 'unknown') return idempotency === 'key' && more ? 'retry' : 'unknown';
  // What this call did is known; what the one before it did is not, unless a key makes the two one.
  if (repeated) return idempotency === 'key' && more && passing.has(code) ? 'retry' : 'unknown';
  return more && passing.has(code) ? 'retry' : 'failure';
};

/**
 * What to do with an attempt that stands in the log without an outcome. Its call may have been made.
 * `again`: a further call can do no harm. `doubt`: never again.
 */
export const recoveryOf = ({ effect, idempotency }: CallKind): 'again' | 'doubt' =>
  effect === 'read' || idempotency !== 'none' ? 'again' : 'doubt';
