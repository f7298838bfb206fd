/** Where a guarded action stands, and how it gets from there to the next place. No I/O, no clock. */
import type { EventId } from '../../schema/ids.ts';
import type { ErrorCode, Outcome } from '../../schema/taxonomy.ts';
import type { ApprovalState } from './approval.ts';

export const actionStates = [
  'DECIDING',
  'AWAITING_APPROVAL',
  'ATTEMPTING',
  'UNKNOWN',
  'VERIFYING',
  'SUCCEEDED',
  'DENIED',
  'FAILED',
] as const;
export type ActionState = (typeof actionStates)[number];

/** What a query of the workflow answers, and what it returns in the end: codes, ids and numbers only. */
export interface ActionProgress {
  readonly state: ActionState;
  readonly outcome?: Extract<Outcome, 'success' | 'denied' | 'failure' | 'unknown'>;
  readonly error?: ErrorCode;
  readonly approval?: ApprovalState;
  /** Vendor calls so far. */
  readonly attempts: number;
  readonly objects: { readonly succeeded: number; readonly failed: number };
  /** Entries that hold the vendor's answers, in order of the steps. */
  readonly answers: readonly EventId[];
}

export const isFinalState = (state: ActionState): boolean =>
  state === 'SUCCEEDED' || state === 'DENIED' || state === 'FAILED';

/** A caller who waits for an action need wait no longer: it ended, or a person has the next word. */
export const isResting = (state: ActionState): boolean =>
  isFinalState(state) || state === 'AWAITING_APPROVAL' || state === 'UNKNOWN';

export const beginning: ActionProgress = {
  state: 'DECIDING',
  attempts: 0,
  objects: { succeeded: 0, failed: 0 },
  answers: [],
};

export const ended = (
  progress: ActionProgress,
  outcome: 'success' | 'denied' | 'failure',
  error?: ErrorCode,
): ActionProgress => {
  const { error: _before, ...rest } = progress;
  const state = outcome === 'success' ? 'SUCCEEDED' : outcome === 'denied' ? 'DENIED' : 'FAILED';
  return { ...rest, state, outcome, ...(error !== undefined && { error }) };
};

export const inDoubt = (progress: ActionProgress, error?: ErrorCode): ActionProgress => ({
  ...progress,
  state: 'UNKNOWN',
  outcome: 'unknown',
  ...(error !== undefined && { error }),
});

/** Back on its way after a doubt was settled, or to the next step. */
export const going = (progress: ActionProgress, state: 'DECIDING' | 'ATTEMPTING' | 'VERIFYING'): ActionProgress => {
  const { outcome: _outcome, error: _error, ...rest } = progress;
  return { ...rest, state };
};
