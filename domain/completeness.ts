/**
 * Is a run's record complete: has every intent a final outcome, every object of a bulk step one of its own, and no
 * emitter a gap? What is missing is named, so that it can be looked for.
 */
import type { RecordedEvent } from '../schema/event.ts';
import type { EventId } from '../schema/ids.ts';
import type { Action, Outcome, System } from '../schema/taxonomy.ts';
import { missingUpTo, rangesNotHeld, subtractRanges, type EmitterState, type SequenceRange } from './emitters.ts';
import { actionEmitterPrefix, groupActions, type ActionRecord, type AttemptRecord } from './timeline/actions.ts';
import { absentPositions } from './timeline/bulk.ts';

export type MissingReason =
  /** `last`: what stands in place of a final outcome. */
  | {
      readonly kind: 'no-final-outcome';
      readonly intent: EventId;
      readonly index: number;
      readonly system: System;
      readonly action: Action;
      readonly last: 'none' | 'pending' | 'unknown' | 'retry';
    }
  /** Objects of a bulk step (positions from 0) without an attempt or without a final outcome. */
  | {
      readonly kind: 'objects';
      readonly intent: EventId;
      readonly attempt: EventId;
      readonly lacks: 'attempt' | 'outcome';
      readonly positions: readonly SequenceRange[];
    }
  /** An intent says how many objects it concerns, and fewer were attempted although nothing failed. */
  | {
      readonly kind: 'objects-never-attempted';
      readonly intent: EventId;
      readonly expected: number;
      readonly attempted: number;
    }
  /** Entries of an action are held, but not the intent that they belong to. */
  | { readonly kind: 'no-intent'; readonly intent: EventId }
  /** Entries of single objects are held, but not the attempt that they are part of. */
  | { readonly kind: 'no-attempt'; readonly intent: EventId; readonly attempt: EventId; readonly objects: number }
  | {
      readonly kind: 'emitter-gap';
      readonly emitter: string;
      readonly ranges: readonly SequenceRange[];
      /** Where more is missing than `ranges` lists. */
      readonly truncated: SequenceRange | null;
    }
  /** The emitter's state knows of entries that the run does not hold. */
  | { readonly kind: 'entries-not-held'; readonly emitter: string; readonly ranges: readonly SequenceRange[] }
  /** Nothing is known of the emitter, so nothing can be said about gaps. */
  | { readonly kind: 'emitter-unknown'; readonly emitter: string };

export type Completeness =
  | { readonly state: 'COMPLETE' }
  | { readonly state: 'INCOMPLETE'; readonly missing: readonly MissingReason[] };

/**
 * `events`: all entries of the run. `emitterStates`: at least those of the emitters in `events`, read no earlier than
 * the events were. An intent that the platform recorded is completed by the platform's own entries only.
 */
export const checkCompleteness = (
  events: readonly RecordedEvent[],
  emitterStates: ReadonlyMap<string, EmitterState>,
): Completeness => {
  const missing = [...groupActions(events).flatMap(missingOfAction), ...missingOfEmitters(events, emitterStates)];
  return missing.length === 0 ? { state: 'COMPLETE' } : { state: 'INCOMPLETE', missing };
};

const missingOfAction = (action: ActionRecord): MissingReason[] => {
  const { intent, intentId } = action;
  if (intent === null) return [{ kind: 'no-intent', intent: intentId }];
  const missing: MissingReason[] = [];
  const settled = actionSettled(action);
  const last = settled ? null : lackOf(action);
  if (last !== null) {
    const { system, action: verb } = intent.entry;
    missing.push({ kind: 'no-final-outcome', intent: intentId, index: intent.index, system, action: verb, last });
  }
  for (const [attempt, objects] of Map.groupBy(action.orphans, ({ entry }) => entry.batch?.parent ?? entry.id)) {
    missing.push({ kind: 'no-attempt', intent: intentId, attempt, objects: objects.length });
  }
  for (const record of action.attempts) missing.push(...missingObjects(intentId, record, settled));
  const expected = intent.entry.count;
  const attempted = attemptedObjects(action);
  if (expected !== undefined && attempted !== null && attempted < expected) {
    missing.push({ kind: 'objects-never-attempted', intent: intentId, expected, attempted });
  }
  return missing;
};

const isFinal = (outcome: Outcome | undefined): boolean =>
  outcome === 'success' || outcome === 'denied' || outcome === 'failure';

const actionSettled = ({ settlements }: ActionRecord): boolean =>
  settlements.some(({ entry }) => isFinal(entry.outcome));

/** What the action as a whole has in place of a final outcome; null: it has one. */
const lackOf = ({ attempts, outcomes, approvals }: ActionRecord): 'none' | 'pending' | 'unknown' | 'retry' | null => {
  if (outcomes.some(({ entry }) => isFinal(entry.outcome)) && attempts.length === 0) return null;
  if (attempts.length > 0) {
    for (const [at, record] of attempts.entries()) {
      const lack = lackOfAttempt(record);
      if (lack !== null && !(lack === 'retry' && isRetried(attempts, at))) return lack;
    }
    return null;
  }
  const waiting = outcomes.at(-1)?.entry.outcome;
  if (waiting === 'unknown' || waiting === 'retry' || waiting === 'pending') return waiting;
  return approvals.length > 0 ? 'pending' : 'none';
};

/** Null: it has a final outcome, or reading back settled its unknown one. */
export const lackOfAttempt = ({
  outcomes,
  verifications,
}: AttemptRecord): 'none' | 'pending' | 'unknown' | 'retry' | null => {
  if (outcomes.some(({ entry }) => isFinal(entry.outcome))) return null;
  const last = outcomes.at(-1)?.entry.outcome;
  if (last === undefined) return 'none';
  if (last === 'unknown' && verifications.some(({ entry }) => isFinal(entry.outcome))) return null;
  return last === 'unknown' || last === 'retry' ? last : 'pending';
};

/** `retry` promises another attempt: one with a higher number must follow. */
export const isRetried = (attempts: readonly AttemptRecord[], at: number): boolean => {
  const number = attempts[at]!.attempt.entry.attempt ?? 1;
  return (attempts[at + 1]?.attempt.entry.attempt ?? 1) > number;
};

const missingObjects = (intent: EventId, record: AttemptRecord, settled: boolean): MissingReason[] => {
  const { attempt, objects, objectOutcomes, outcomes } = record;
  const size = objectsOf(record);
  if (size === null) return [];
  const missing: MissingReason[] = [];
  const lacks = (what: 'attempt' | 'outcome', held: readonly RecordedEvent[]) => {
    const positions = absentPositions(new Set(held.map(({ entry }) => entry.batch!.position)), size);
    if (positions.length > 0)
      missing.push({ kind: 'objects', intent, attempt: attempt.entry.id, lacks: what, positions });
  };
  lacks('attempt', objects);
  // A call that failed as a whole, or was settled as a whole, says nothing of single objects.
  if (!settled && outcomes.some(({ entry }) => entry.outcome === 'success')) {
    lacks(
      'outcome',
      objectOutcomes.filter(({ entry }) => isFinal(entry.outcome)),
    );
  }
  return missing;
};

const bulkWrites: ReadonlySet<Action> = new Set<Action>(['record.create', 'record.update', 'record.delete']);

/** How many objects must have entries of their own; null where the step is about one object, or reads. */
const objectsOf = ({ attempt, objects, objectOutcomes }: AttemptRecord): number | null => {
  const sizes = [...objects, ...objectOutcomes].map(({ entry }) => entry.batch!.size);
  const announced = bulkWrites.has(attempt.entry.action) && (attempt.entry.count ?? 0) > 1 ? attempt.entry.count! : 0;
  const size = sizes.reduce((a, b) => Math.max(a, b), announced);
  return size === 0 ? null : size;
};

/** Null where it can't be told, or where something did not succeed, so that later steps may rightly be absent. */
const attemptedObjects = ({ attempts, intent }: ActionRecord): number | null => {
  if (attempts.length === 0 || intent === null || !bulkWrites.has(intent.entry.action)) return null;
  let sum = 0;
  for (const record of attempts) {
    if (record.outcomes.some(({ entry }) => entry.outcome === 'retry')) continue;
    if (!record.outcomes.some(({ entry }) => entry.outcome === 'success')) return null;
    sum += objectsOf(record) ?? record.attempt.entry.count ?? 1;
  }
  return sum;
};

/**
 * Gaps of each emitter up to the highest sequence that the run holds. An action's own emitter writes into no other run,
 * so there every number up to the emitter's highest must be held.
 */
const missingOfEmitters = (
  events: readonly RecordedEvent[],
  emitterStates: ReadonlyMap<string, EmitterState>,
): MissingReason[] => {
  const held = new Map<string, Set<number>>();
  for (const { entry } of events) {
    const { id, sequence } = entry.emitter;
    held.set(id, (held.get(id) ?? new Set()).add(sequence));
  }
  const missing: MissingReason[] = [];
  for (const [emitter, sequences] of [...held].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const state = emitterStates.get(emitter);
    if (state === undefined) {
      missing.push({ kind: 'emitter-unknown', emitter });
      continue;
    }
    const high = [...sequences].reduce((a, b) => Math.max(a, b), 0);
    const { ranges, truncated } = missingUpTo(state, high);
    if (ranges.length > 0 || truncated !== null) missing.push({ kind: 'emitter-gap', emitter, ranges, truncated });
    if (emitter.startsWith(actionEmitterPrefix)) {
      const notHeld = notHeldOf(sequences, state);
      if (notHeld.length > 0) missing.push({ kind: 'entries-not-held', emitter, ranges: notHeld });
    }
  }
  return missing;
};

/** What the state says was recorded and is not held; what the state itself misses is a gap and named as one. */
export const notHeldOf = (held: ReadonlySet<number>, state: EmitterState): SequenceRange[] => {
  const notHeld = subtractRanges(rangesNotHeld(held, state.high), state.missing);
  return state.truncated === null ? notHeld : subtractRanges(notHeld, [state.truncated]);
};
