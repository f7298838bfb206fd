/** The record of one run, arranged once for all stages, and what is known to be missing from it. */
import type { RecordedEvent } from '../../schema/event.ts';
import type { Action, System } from '../../schema/taxonomy.ts';
import { checkCompleteness, notHeldOf, type Completeness, type MissingReason } from '../completeness.ts';
import type { EmitterState } from '../emitters.ts';
import { groupActions, type ActionRecord, type AttemptRecord } from '../timeline/actions.ts';
import { indexById, inLogOrder, lineage, type EventsById } from '../timeline/lineage.ts';
import { buildTimeline, type Timeline } from '../timeline/timeline.ts';
import { cite, type UnknownReason } from './finding.ts';
import { controlFacts, type ControlFacts } from './inForce.ts';

/**
 * Emitters under which the platform writes control entries and nothing else, if it has any: this id, or ids that begin
 * with it and `/`. Of these the whole sequence must be handed over, so that an entry that is left out is noticed.
 */
export const controlEmitter = 'platform/control';

/** What the check of the record against its checkpoint brought. `intact` covers the entries below `size`. */
export type Integrity =
  | { readonly state: 'intact'; readonly size: number }
  | { readonly state: 'altered'; readonly detail: string; readonly firstBadIndex?: number }
  | { readonly state: 'unverified'; readonly detail: string };

export interface DiagnosisInput {
  /** Every entry of the correlation id, in any order. */
  readonly events: readonly RecordedEvent[];
  /** The control entries of the instance, at least all that concern the run, in any order. */
  readonly control: readonly RecordedEvent[];
  readonly integrity: Integrity;
  /** Of all emitters in `events` and `control`, read no earlier than these. */
  readonly emitterStates: ReadonlyMap<string, EmitterState>;
}

/** One vendor call that the platform attempted, and the action that it belongs to. */
export interface Effect {
  readonly action: ActionRecord;
  readonly record: AttemptRecord;
}

export interface Evidence {
  readonly events: readonly RecordedEvent[];
  readonly byId: EventsById;
  readonly timeline: Timeline;
  /** Place of an entry in causal order. */
  readonly position: ReadonlyMap<string, number>;
  /** Actions that the platform guarded. */
  readonly actions: readonly ActionRecord[];
  readonly effects: readonly Effect[];
  /** Effects that an agent reported and that belong to no guarded action. */
  readonly unguarded: readonly RecordedEvent[];
  readonly facts: ControlFacts;
  readonly completeness: Completeness;
  /** Why no reference can be trusted; empty where they can. */
  readonly untrusted: readonly UnknownReason[];
  /** Why nothing can be said about everything in the run; empty where it can. */
  readonly incomplete: readonly UnknownReason[];
}

export const arrange = (input: DiagnosisInput): Evidence => {
  const events = inLogOrder(input.events);
  const byId = indexById(events);
  const timeline = buildTimeline(events);
  const actions = groupActions(events).filter(({ provenance }) => provenance === 'platform');
  const completeness = checkCompleteness(events, input.emitterStates);
  const integrity = integrityReasons(input);
  return {
    events,
    byId,
    timeline,
    position: new Map(timeline.rows.map(({ event }, at) => [event.entry.id, at])),
    actions,
    effects: actions.flatMap((action) => action.attempts.map((record) => ({ action, record }))),
    unguarded: unguardedEffects(events, byId),
    facts: controlFacts(input.control),
    completeness,
    untrusted: integrity.length > 0 ? integrity : controlReasons(input),
    incomplete: incompleteReasons(completeness),
  };
};

const writes: ReadonlySet<Action> = new Set<Action>([
  'record.create',
  'record.update',
  'record.delete',
  'message.draft',
  'message.send',
  'message.update',
  'message.delete',
  'comment.create',
  'webhook.send',
]);

/** Does the action change something in a target system? */
export const isWrite = (entry: { readonly action: Action; readonly system: System }): boolean =>
  writes.has(entry.action) && entry.system !== 'agent' && entry.system !== 'trailkeeper';

/** A tampered, unchecked or only partly covered record proves nothing about anything. */
const integrityReasons = ({ events, control, integrity }: DiagnosisInput): UnknownReason[] => {
  if (integrity.state !== 'intact') {
    const index = integrity.state === 'altered' ? integrity.firstBadIndex : undefined;
    const where = index === undefined ? '' : ` (first bad index ${index})`;
    return [{ kind: 'record-not-intact', detail: `${integrity.detail}${where}`, citations: [] }];
  }
  const beyond = [...events, ...control].filter(({ index }) => index >= integrity.size);
  if (beyond.length === 0) return [];
  const detail = `the check covers ${integrity.size} entries, and ${beyond.length} in use lie beyond`;
  return [{ kind: 'record-not-intact', detail, citations: beyond.slice(0, 20).map(cite) }];
};

/** A lost control entry could have put something else in force, so each gap makes every reference doubtful. */
const controlReasons = ({ events, control, emitterStates }: DiagnosisInput): UnknownReason[] => {
  const held = new Map<string, Set<number>>();
  const add = ({ entry: { emitter } }: RecordedEvent) =>
    held.set(emitter.id, (held.get(emitter.id) ?? new Set()).add(emitter.sequence));
  control.forEach(add);
  const emitters = [...held.keys()].toSorted();
  for (const event of events) if (held.has(event.entry.emitter.id)) add(event);
  return emitters.flatMap((emitter): UnknownReason[] => {
    const state = emitterStates.get(emitter);
    if (state === undefined) return [{ kind: 'control-incomplete', emitter, ranges: [], citations: [] }];
    const own = emitter === controlEmitter || emitter.startsWith(`${controlEmitter}/`);
    const ranges = [...state.missing, ...(own ? notHeldOf(held.get(emitter)!, state) : [])];
    if (state.truncated !== null) ranges.push(state.truncated);
    if (ranges.length === 0) return [];
    return [{ kind: 'control-incomplete', emitter, ranges: ranges.toSorted((a, b) => a[0] - b[0]), citations: [] }];
  });
};

/**
 * Gaps, and entries without their intent, leave open what else happened. An action or an object that merely waits for
 * its outcome does not: the stages look at each attempt themselves.
 */
const incompleteReasons = (completeness: Completeness): UnknownReason[] => {
  if (completeness.state === 'COMPLETE') return [];
  const waiting: readonly MissingReason['kind'][] = ['no-final-outcome', 'objects', 'objects-never-attempted'];
  return completeness.missing
    .filter(({ kind }) => !waiting.includes(kind))
    .map((missing) => ({ kind: 'run-incomplete', missing, citations: [] }));
};

const what = ({ entry }: RecordedEvent): string => `${entry.system} ${entry.action}`;

/**
 * A report of a write that is neither about a guarded action nor what led to one. Told by the causes that the record
 * states: a report that merely resembles a guarded action is not taken for it.
 */
const unguardedEffects = (events: readonly RecordedEvent[], byId: EventsById): RecordedEvent[] => {
  const ledTo = new Set<string>();
  for (const intent of events) {
    if (intent.entry.provenance !== 'platform' || intent.entry.phase !== 'intent') continue;
    for (const above of lineage(intent, byId)) {
      const key = `${above.entry.id} ${what(intent)}`;
      // From here on up everything was noted before: chains that join cost nothing twice.
      if (ledTo.has(key)) break;
      ledTo.add(key);
    }
  }
  return events.filter((event) => {
    const { provenance, phase, outcome } = event.entry;
    if (provenance !== 'reported' || phase === 'intent' || !isWrite(event.entry)) return false;
    if (outcome === 'denied' || outcome === 'failure') return false;
    for (const above of lineage(event, byId)) {
      const { entry } = above;
      if (entry.provenance === 'platform' && entry.phase === 'intent') return what(above) !== what(event);
      if (entry.phase === 'intent' && ledTo.has(`${entry.id} ${what(event)}`)) return false;
    }
    return true;
  });
};
