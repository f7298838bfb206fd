/** What changed from what to what, per field over all objects. Values are shown only where the payload can be read. */
import type { RecordedEvent } from '../../schema/event.ts';
import type { Action, System } from '../../schema/taxonomy.ts';
import type { AttemptRecord } from '../timeline/actions.ts';
import { contentOf, isObject, sameJson, type Json, type JsonObject } from './content.ts';
import { isWrite, type Evidence } from './evidence.ts';
import { cite, uniqueCitations, type Citation } from './finding.ts';
import type { Statement } from './statement.ts';

const examplesMax = 3;
const citationsMax = 20;
const valueLengthMax = 80;

/** Actions whose object was not there before. */
const creations: ReadonlySet<Action> = new Set<Action>([
  'record.create',
  'message.draft',
  'message.send',
  'comment.create',
]);

interface FieldTally {
  readonly system: System;
  readonly action: Action;
  readonly field: string;
  objects: number;
  unreadable: number;
  readonly pairs: Map<string, { readonly from: string | null; readonly to: string; objects: number }>;
  readonly citations: Citation[];
}

export const changes = ({ effects }: Evidence): Statement[] => {
  const tallies = new Map<string, FieldTally>();
  for (const { action, record } of effects) {
    if (!isWrite(record.attempt.entry)) continue;
    const settled = action.settlements.some(({ entry }) => entry.outcome === 'success');
    for (const changed of changedObjects(record, settled)) tallyObject(changed, record.attempt, tallies);
  }
  return [...tallies.values()].map(({ pairs, citations, ...tally }) => ({
    kind: 'change',
    ...tally,
    examples: [...pairs.values()].toSorted((a, b) => b.objects - a.objects).slice(0, examplesMax),
    citations: uniqueCitations(citations).slice(0, citationsMax),
  }));
};

interface ChangedObject {
  readonly attempt: RecordedEvent;
  readonly outcome: RecordedEvent | undefined;
}

/** Objects that the record says were changed: by their own outcome, or by that of the whole call. */
const changedObjects = (record: AttemptRecord, settled: boolean): ChangedObject[] => {
  const { attempt, objects, outcomes, objectOutcomes, verifications } = record;
  const succeeded = outcomes.find(({ entry }) => entry.outcome === 'success');
  const whole = succeeded !== undefined || settled || verifications.some(({ entry }) => entry.outcome === 'success');
  if (objects.length === 0) return whole ? [{ attempt, outcome: succeeded }] : [];
  const byPosition = new Map(objectOutcomes.map((event) => [event.entry.batch!.position, event]));
  return objects
    .map((object) => ({ attempt: object, outcome: byPosition.get(object.entry.batch!.position) }))
    .filter(({ outcome }) =>
      outcome === undefined ? whole && objectOutcomes.length === 0 : outcome.entry.outcome === 'success',
    );
};

const tallyObject = (
  { attempt, outcome }: ChangedObject,
  call: RecordedEvent,
  tallies: Map<string, FieldTally>,
): void => {
  const before = valuesOf(attempt, 'before');
  const sent = valuesOf(attempt, 'sent');
  const after = outcome === undefined ? null : valuesOf(outcome, 'after');
  const created = creations.has(attempt.entry.action);
  const fields = attempt.entry.fields ?? call.entry.fields ?? Object.keys(sent ?? after ?? {});
  for (const field of new Set(fields)) {
    const from = before?.[field];
    const to = after?.[field] ?? sent?.[field];
    const readable = to !== undefined && (from !== undefined || before !== null || created);
    if (readable && from !== undefined && sameJson(from, to)) continue;
    const { system, action } = attempt.entry;
    const key = `${system} ${action} ${field}`;
    const tally: FieldTally = tallies.get(key) ?? {
      system,
      action,
      field,
      objects: 0,
      unreadable: 0,
      pairs: new Map(),
      citations: [],
    };
    tallies.set(key, tally);
    tally.objects++;
    tally.citations.push(cite(attempt), ...(outcome === undefined ? [] : [cite(outcome)]));
    if (!readable) {
      tally.unreadable++;
      continue;
    }
    const pair = { from: from === undefined || from === null ? null : shown(from), to: shown(to) };
    const known = tally.pairs.get(JSON.stringify(pair));
    if (known === undefined) tally.pairs.set(JSON.stringify(pair), { ...pair, objects: 1 });
    else known.objects++;
  }
};

/** Null where the part is not there or can't be read. */
const valuesOf = (event: RecordedEvent, part: string): JsonObject | null => {
  const content = contentOf(event, part);
  return content.state === 'present' && isObject(content.value) ? content.value : null;
};

const shown = (value: Json): string => {
  const text = JSON.stringify(value);
  return text.length <= valueLengthMax ? text : `${text.slice(0, valueLengthMax - 1)}…`;
};
