/** Which field mapping a write used, whether that was the one in force, and whether what was sent is what it makes. */
import type { RecordedEvent } from '../../schema/event.ts';
import { compareMappings, type Mapping, type MappingDifference } from '../mapping.ts';
import { compareAsMapped, contentOf, isObject, mappingIn, type Content } from './content.ts';
import type { AttemptRecord } from '../timeline/actions.ts';
import type { Effect } from './evidence.ts';
import { basis, cite, type Citation } from './finding.ts';
import { mappingPublications, type ControlFacts, type Publication } from './inForce.ts';
import type { Collected } from './integrationStage.ts';

export const mappingUse = (effect: Effect, intent: RecordedEvent, facts: ControlFacts, into: Collected): void => {
  const { attempt, objects } = effect.record;
  const labelOf = ({ entry }: RecordedEvent) => entry.versions?.mapping ?? attempt.entry.versions?.mapping;
  const uses = Map.groupBy(
    [attempt, ...objects].filter((event) => labelOf(event) !== undefined),
    (event) => labelOf(event)!,
  );
  if (uses.size === 0 && intent.entry.versions?.mapping !== undefined) {
    into.unknowns.push({ kind: 'not-stated', what: 'mapping', about: intent.entry.id, citations: [cite(attempt)] });
  }
  for (const [label, events] of uses) judgeUse(label, events, effect.record, facts, into);
};

const judgeUse = (
  label: string,
  events: readonly RecordedEvent[],
  record: AttemptRecord,
  facts: ControlFacts,
  into: Collected,
): void => {
  const { attempt } = record;
  const split = label.lastIndexOf('@');
  const [name, version] = [label.slice(0, split), label.slice(split + 1)];
  const { system } = attempt.entry;
  const published = mappingPublications(facts, name, system, attempt.index);
  const inForce = published.at(-1);
  const used = published.findLast(({ change }) => change.version === version);
  // A mapping that was never published to the record may have been in force or not: nothing here tells.
  if (inForce === undefined || used === undefined) {
    const citations = [attempt, ...(inForce === undefined ? [] : [inForce.event])].map(cite);
    into.unknowns.push({ kind: 'entry-missing', entry: 'mapping publication', about: label, citations });
    return;
  }
  if (used !== inForce) {
    into.deviations.push({
      kind: 'mapping-outdated',
      system,
      mapping: name,
      used: version,
      inForce: inForce.change.version,
      objects: wasRetried(record) ? 0 : objectsIn(events),
      misdirected: misdirected(used, inForce, events),
      basis: [
        basis('mapping-used', used.event),
        basis('mapping-in-force', inForce.event),
        // Objects that say nothing of their own follow from the attempt.
        basis('attempt', ...events.filter((event) => event === attempt || event.entry.versions?.mapping !== undefined)),
      ],
      at: cite(events[0]!),
    });
    return;
  }
  into.basis.push(basis('mapping-in-force', inForce.event));
  judgeContent(label, inForce, events, record, into);
};

/** The same objects come again with the next attempt. */
const wasRetried = ({ outcomes }: AttemptRecord): boolean => outcomes.some(({ entry }) => entry.outcome === 'retry');

const objectsIn = (events: readonly RecordedEvent[]): number => {
  const objects = events.filter(({ entry }) => entry.batch !== undefined).length;
  return objects > 0 ? objects : (events[0]?.entry.count ?? 1);
};

const readMapping = ({ event, change }: Publication): Mapping | undefined => {
  const content = contentOf(event, 'content');
  return content.state === 'present' ? mappingIn(content.value, change.name, change.version) : undefined;
};

/** Where the fields that were asked for would have gone under the mapping in force. Null: that can't be read. */
const misdirected = (
  used: Publication,
  inForce: Publication,
  events: readonly RecordedEvent[],
): readonly MappingDifference[] | null => {
  const [before, after] = [readMapping(used), readMapping(inForce)];
  const fields = new Set<string>();
  for (const event of events) {
    const requested = contentOf(event, 'requested');
    if (requested.state === 'present' && isObject(requested.value))
      Object.keys(requested.value).forEach((f) => fields.add(f));
  }
  return before === undefined || after === undefined || fields.size === 0
    ? null
    : compareMappings(before, after, [...fields]);
};

/** One reason per kind of trouble, however many objects have it. */
const judgeContent = (
  label: string,
  inForce: Publication,
  events: readonly RecordedEvent[],
  record: AttemptRecord,
  into: Collected,
): void => {
  const { attempt } = record;
  const concerned = events.filter(({ entry }) =>
    entry.parts.some(({ name }) => name === 'requested' || name === 'sent'),
  );
  if (concerned.length === 0) {
    const citations = [cite(attempt)];
    into.unknowns.push({ kind: 'not-stated', what: 'requested and sent values', about: label, citations });
    return;
  }
  const published = contentOf(inForce.event, 'content');
  const mapping = readMapping(inForce);
  if (mapping === undefined) {
    into.unknowns.push({
      kind: 'content-unreadable',
      part: 'content',
      why: whyNot(published),
      citations: [cite(inForce.event)],
    });
    return;
  }
  const unreadable = new Map<string, Citation[]>();
  const differing: RecordedEvent[] = [];
  const fields = new Set<string>();
  const surplus = { events: [] as RecordedEvent[], fields: new Set<string>() };
  for (const event of concerned) {
    const [requested, sent] = [contentOf(event, 'requested'), contentOf(event, 'sent')];
    const note = (part: string, why: string) => {
      const known = unreadable.get(`${part} ${why}`);
      if (known === undefined) unreadable.set(`${part} ${why}`, [cite(event)]);
      else known.push(cite(event));
    };
    if (requested.state !== 'present') note('requested', whyNot(requested));
    else if (sent.state !== 'present') note('sent', whyNot(sent));
    else {
      const compared = compareAsMapped(mapping, requested.value, sent.value);
      if (compared.state === 'malformed') note('requested', 'malformed');
      if (compared.state === 'differs') {
        differing.push(event);
        compared.fields.forEach((field) => fields.add(field));
      }
      if (compared.state === 'surplus') {
        surplus.events.push(event);
        compared.fields.forEach((field) => surplus.fields.add(field));
      }
    }
  }
  for (const [key, citations] of unreadable) {
    const [part, why] = key.split(' ') as [string, 'erased' | 'withheld' | 'malformed'];
    into.unknowns.push({ kind: 'content-unreadable', part, why, citations });
  }
  if (surplus.events.length > 0) {
    into.unknowns.push({
      kind: 'surplus-fields',
      fields: [...surplus.fields].toSorted(),
      citations: surplus.events.map(cite),
    });
  }
  if (differing.length > 0) {
    into.deviations.push({
      kind: 'sent-not-as-mapped',
      system: attempt.entry.system,
      mapping: label,
      objects: wasRetried(record) ? 0 : differing.length,
      fields: [...fields].toSorted(),
      basis: [basis('mapping-in-force', inForce.event), basis('attempt', ...differing)],
      at: cite(differing[0]!),
    });
  }
  into.basis.push(basis('attempt', ...concerned));
};

const whyNot = (content: Content): 'erased' | 'withheld' | 'malformed' =>
  content.state === 'erased' || content.state === 'withheld' ? content.state : 'malformed';
