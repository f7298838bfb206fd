/**
 * Prompt: did each agent run the prompt that was approved for it? Compares the digests in play with the publication in
 * force. What an agent reports can convict it; to clear it, the platform must have recorded the same digest too.
 */
import type { RecordedEvent } from '../../schema/event.ts';
import type { Evidence } from './evidence.ts';
import { basis, cite, type Basis, type Deviation, type StageResult, type UnknownReason } from './finding.ts';
import { promptPublications, type Publication } from './inForce.ts';

export const promptStage = (evidence: Evidence): StageResult => {
  const agents = new Set(
    evidence.events
      .filter(
        ({ entry }) => entry.actor.kind === 'agent' && (entry.phase === 'intent' || entry.action === 'prompt.submit'),
      )
      .map(({ entry }) => entry.actor.principal),
  );
  if (agents.size === 0) {
    const unknown: UnknownReason = { kind: 'not-stated', what: 'acting agent', about: 'the run', citations: [] };
    return { deviations: [], unknowns: [unknown], basis: [] };
  }
  const results = [...agents].map((agent) => promptOf(agent, evidence, agents.size === 1));
  return {
    deviations: results.flatMap((result) => result.deviations),
    unknowns: results.flatMap((result) => result.unknowns),
    basis: results.flatMap((result) => result.basis),
  };
};

const promptOf = (agent: string, evidence: Evidence, alone: boolean): StageResult => {
  const { events, facts, actions } = evidence;
  const unknowns: UnknownReason[] = [];
  const own = events.filter(({ entry }) => entry.actor.principal === agent);
  const submitted = own.filter(({ entry }) => entry.action === 'prompt.submit');
  const intents = own.filter(({ entry }) => entry.phase === 'intent' && entry.provenance === 'platform');
  const opened = openingsOf([...submitted, ...intents], events);
  // With several agents in a run, the run's own declaration does not say whose prompt it names.
  const declared = alone ? opened : opened.filter(({ entry }) => entry.actor.principal === agent);
  const stated = [...new Set([...declared, ...submitted, ...intents])].filter(
    ({ entry }) => entry.versions?.promptDigest !== undefined,
  );
  const missing = (entry: 'run.open' | 'prompt.submit' | 'prompt publication', citations = stated) =>
    unknowns.push({ kind: 'entry-missing', entry, about: agent, citations: citations.map(cite) });

  if (opened.length === 0) {
    missing('run.open');
    return { deviations: [], unknowns, basis: [] };
  }
  const since = Math.min(...opened.map(({ index }) => index));
  const deviations: Deviation[] = [];
  const conforming: Basis[] = [basis('run-opened', ...opened)];
  for (const event of stated) {
    const digest = event.entry.versions!.promptDigest!;
    const published = promptPublications(facts, agent, event.index);
    const inForce = published.at(-1);
    if (inForce === undefined) {
      missing('prompt publication', [event]);
      continue;
    }
    const match = approvedSince(published, since).find(({ change }) => change.digest === digest);
    const elsewhere = published.findLast(({ change }) => change.digest === digest);
    if (match !== undefined) {
      conforming.push(basis('prompt-in-force', match.event), basis('prompt-run', event));
    } else if (elsewhere !== undefined && isLatestOfName(elsewhere, published)) {
      // Published for the agent under another name, and never replaced under that name.
      unknowns.push({
        kind: 'several-in-force',
        about: agent,
        citations: [inForce, elsewhere].map((p) => cite(p.event)),
      });
    } else {
      deviations.push({
        kind: 'other-prompt-ran',
        agent,
        ran: digest,
        inForce: { name: inForce.change.name, version: inForce.change.version, digest: inForce.change.digest },
        publishedAs:
          elsewhere === undefined ? null : { name: elsewhere.change.name, version: elsewhere.change.version },
        basis: [basis('run-opened', ...opened), basis('prompt-in-force', inForce.event), basis('prompt-run', event)],
        at: cite(event),
      });
    }
  }
  if (submitted.length === 0) missing('prompt.submit');
  const silent = [
    ...submitted.filter(({ entry }) => entry.versions?.promptDigest === undefined),
    // An intent is covered by what its run declared.
    ...intents.filter(
      ({ entry }) =>
        entry.versions?.promptDigest === undefined &&
        !declared.some((open) => isOpeningOf(open, entry.runId) && open.entry.versions?.promptDigest !== undefined),
    ),
  ];
  if (silent.length > 0) {
    unknowns.push({ kind: 'not-stated', what: 'prompt digest', about: agent, citations: silent.map(cite) });
  }
  if (!stated.some(({ entry }) => entry.provenance === 'platform')) {
    unknowns.push(
      stated.length === 0
        ? { kind: 'not-stated', what: 'prompt digest', about: agent, citations: [] }
        : { kind: 'only-reported', citations: stated.map(cite) },
    );
  }
  if (!actions.some(({ attempts }) => attempts.length > 0)) unknowns.push({ kind: 'no-effect', citations: [] });
  return { deviations, unknowns, basis: conforming };
};

const isOpeningOf = ({ entry }: RecordedEvent, run: string | undefined): boolean =>
  run === undefined || entry.id === run || entry.runId === run;

/** The openings of the runs in which the agent acted; none where one of them is missing. */
const openingsOf = (acts: readonly RecordedEvent[], events: readonly RecordedEvent[]): RecordedEvent[] => {
  const openings = events.filter(({ entry }) => entry.action === 'run.open' && entry.provenance === 'platform');
  const found = new Set<RecordedEvent>();
  for (const run of new Set(acts.map(({ entry }) => entry.runId))) {
    const own = openings.filter((open) => isOpeningOf(open, run));
    if (own.length === 0) return [];
    for (const open of own) found.add(open);
  }
  return [...found];
};

/**
 * What was the latest publication at some moment from the run's opening on: a run may go on with the prompt that it
 * began with, and may take up one that is published meanwhile.
 */
const approvedSince = (published: readonly Publication[], since: number): Publication[] => {
  const atOpening = published.findLast(({ event }) => event.index < since);
  const later = published.filter(({ event }) => event.index >= since);
  return atOpening === undefined ? later : [atOpening, ...later];
};

const isLatestOfName = (publication: Publication, published: readonly Publication[]): boolean =>
  published.findLast(({ change }) => change.name === publication.change.name) === publication;
