/**
 * Puts the entries of a record together into actions: an intent, what was decided about it, the attempts at it, and
 * what became of each. What the platform recorded and what an agent reported never mix: a report can't complete, settle
 * or otherwise speak for an action of the platform.
 */
import type { RecordedEvent } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import type { Action } from '../../schema/taxonomy.ts';
import { indexById, inLogOrder, nearest, type EventsById } from './lineage.ts';

/** Each guarded action writes under an emitter of its own, named for its intent; nothing else writes under it. */
export const actionEmitterPrefix = 'platform/action/';

export interface ActionRecord {
  readonly intentId: EventId;
  /** Null where entries of an action are held, but not its intent. */
  readonly intent: RecordedEvent | null;
  readonly provenance: 'platform' | 'reported';
  readonly decisions: readonly RecordedEvent[];
  /** Requests for approval, and the decision that binds; not what people said that did not count. */
  readonly approvals: readonly RecordedEvent[];
  readonly attempts: readonly AttemptRecord[];
  /** Attempts at single objects of a call that is not held itself. */
  readonly orphans: readonly RecordedEvent[];
  /** Outcomes of the action as a whole: it was denied, or ended before any attempt. */
  readonly outcomes: readonly RecordedEvent[];
  /** `action.settle`: what was found out about an unknown outcome, where that counted. */
  readonly settlements: readonly RecordedEvent[];
}

/** One vendor call. Of a bulk call, `objects` and `objectOutcomes` hold one entry an object. */
export interface AttemptRecord {
  readonly attempt: RecordedEvent;
  readonly objects: readonly RecordedEvent[];
  readonly outcomes: readonly RecordedEvent[];
  readonly objectOutcomes: readonly RecordedEvent[];
  readonly verifications: readonly RecordedEvent[];
  readonly objectVerifications: readonly RecordedEvent[];
}

/** Entries of these actions have a life of their own and are never the intent of something to be done. */
const neverIntents: ReadonlySet<Action> = new Set<Action>([
  'run.open',
  'run.close',
  'authorization.decide',
  'approval.request',
  'approval.decide',
  'action.settle',
]);

export const isIntent = ({ entry }: RecordedEvent): boolean =>
  entry.phase === 'intent' && !neverIntents.has(entry.action);

/** In the order of their intents in the log. */
export const groupActions = (given: readonly RecordedEvent[]): ActionRecord[] => {
  const events = inLogOrder(given);
  const byId = indexById(events);
  const nearestIntent = nearest(events, byId, isIntent);
  const groups = new Map<
    EventId,
    { intent: RecordedEvent | null; provenance: 'platform' | 'reported'; own: RecordedEvent[] }
  >();
  for (const event of events) {
    const { entry } = event;
    const named = actionOfEmitter(event);
    const found = named === null ? nearestIntent(event) : (byId.get(named) ?? null);
    const intentId = named ?? found?.entry.id;
    if (intentId === undefined) continue;
    // A report that hangs under an intent of the platform is about it, but no part of it.
    if (entry.provenance === 'reported' && (named !== null || found?.entry.provenance === 'platform')) continue;
    const provenance = found?.entry.provenance ?? entry.provenance;
    const group = groups.get(intentId) ?? { intent: found, provenance, own: [] };
    groups.set(intentId, group);
    if (entry.id !== intentId) group.own.push(event);
  }
  return [...groups].map(([intentId, { intent, provenance, own }]) => ({
    intentId,
    intent,
    provenance,
    ...sortOut(own, byId),
  }));
};

/** The intent's id that the emitter's name carries, for entries that the platform itself wrote. */
const actionOfEmitter = ({ entry }: RecordedEvent): EventId | null =>
  entry.provenance === 'platform' && entry.emitter.id.startsWith(actionEmitterPrefix)
    ? (entry.emitter.id.slice(actionEmitterPrefix.length) as EventId)
    : null;

/** An object's entry is no call of its own where it names the attempt that it is part of, held or not. */
const isCall = ({ entry }: RecordedEvent, byId: EventsById): boolean => {
  if (entry.phase !== 'attempt') return false;
  if (entry.batch === undefined) return true;
  const parent = byId.get(entry.batch.parent);
  return parent !== undefined && parent.entry.phase !== 'attempt';
};

const sortOut = (own: readonly RecordedEvent[], byId: EventsById) => {
  // Walks end at the intent, which is not among its own entries: a long run costs nothing here.
  const ownById = indexById(own);
  const calls = own.filter((event) => isCall(event, byId)).toSorted(bySequence);
  const attempts = calls.map((attempt) => ({
    attempt,
    objects: [] as RecordedEvent[],
    outcomes: [] as RecordedEvent[],
    objectOutcomes: [] as RecordedEvent[],
    verifications: [] as RecordedEvent[],
    objectVerifications: [] as RecordedEvent[],
  }));
  const byCall = new Map(attempts.map((record) => [record.attempt.entry.id as string, record]));
  const nearestCall = attempts.length === 0 ? () => null : nearest(own, ownById, ({ entry }) => byCall.has(entry.id));
  // Where the chain of causes breaks off, the attempt is the one that is missing, and no other stands in for it.
  const broken = nearest(own, ownById, ({ entry }) => {
    const cause = entry.causedBy ?? entry.batch?.parent;
    return cause !== undefined && !byId.has(cause);
  });
  const outcomes: RecordedEvent[] = [];
  const settlements: RecordedEvent[] = [];
  const decisions: RecordedEvent[] = [];
  const approvals: RecordedEvent[] = [];
  const orphans: RecordedEvent[] = [];
  for (const event of own) {
    const { entry } = event;
    if (byCall.has(entry.id)) continue;
    if (entry.action === 'authorization.decide') decisions.push(event);
    else if (isPersonsWord(entry.action)) {
      if (!isBinding(event)) continue;
      (entry.action === 'action.settle' ? settlements : approvals).push(event);
    } else {
      const object = entry.batch !== undefined;
      const named = byCall.get(nearestCall(event)?.entry.id ?? '');
      const call = named ?? (object || broken(event) !== null ? undefined : precedingCall(event, attempts));
      if (entry.phase === 'attempt') (call?.objects ?? orphans).push(event);
      else if (entry.phase === 'outcome') {
        if (call === undefined) outcomes.push(event);
        else (object ? call.objectOutcomes : call.outcomes).push(event);
      } else if (entry.phase === 'verified' && call !== undefined) {
        (object ? call.objectVerifications : call.verifications).push(event);
      }
    }
  }
  return { decisions, approvals, attempts, orphans, outcomes, settlements };
};

const isPersonsWord = (action: Action): boolean =>
  action === 'approval.request' || action === 'approval.decide' || action === 'action.settle';

/**
 * What a person says is recorded as an intent, and where it is refused with the outcome `denied`; the workflow's own
 * entry says what counts: a `decision` of an approval, an `outcome` of a settlement.
 */
const isBinding = ({ entry: { action, phase, outcome } }: RecordedEvent): boolean => {
  if (action === 'approval.request') return true;
  if (action === 'approval.decide') return phase === 'decision' && outcome !== undefined;
  return phase !== 'intent' && outcome !== undefined && outcome !== 'denied';
};

/** Where an outcome does not name its attempt: the last one that the same emitter announced before it. */
const precedingCall = <R extends { readonly attempt: RecordedEvent }>(
  { entry }: RecordedEvent,
  attempts: readonly R[],
): R | undefined =>
  attempts.findLast(
    ({ attempt }) =>
      attempt.entry.emitter.id === entry.emitter.id && attempt.entry.emitter.sequence < entry.emitter.sequence,
  );

const bySequence = (a: RecordedEvent, b: RecordedEvent): number =>
  a.entry.emitter.id === b.entry.emitter.id ? a.entry.emitter.sequence - b.entry.emitter.sequence : a.index - b.index;
