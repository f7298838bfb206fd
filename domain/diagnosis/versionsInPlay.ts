/** Which builds, models, prompts, connectors and mappings were in play, and how each stands to what was published. */
import type { RecordedEvent } from '../../schema/event.ts';
import type { VersionKind } from '../../schema/control.ts';
import type { Evidence } from './evidence.ts';
import { cite } from './finding.ts';
import type { Publication } from './inForce.ts';
import { versionedParts, type Standing, type Statement, type VersionedPart } from './statement.ts';

const citationsMax = 20;

export const versionsInPlay = (evidence: Evidence): Statement[] =>
  versionedParts.flatMap((what): Statement[] => {
    const stated = evidence.events.filter(({ entry }) => entry.versions?.[what] !== undefined);
    const users = Map.groupBy(stated, ({ entry }) => entry.versions![what]!);
    if (users.size === 0) return [{ kind: 'version-unknown', what, citations: [] }];
    return [...users].map(([value, events]) => {
      const { standing, cited } = standingOf(what, value, events, evidence);
      const citations = [...cited, ...events].slice(0, citationsMax).map(cite);
      return { kind: 'version', what, value, standing, citations };
    });
  });

const publishedKinds: Readonly<Record<Exclude<VersionedPart, 'connector'>, VersionKind>> = {
  agentBuild: 'agentBuild',
  model: 'model',
  promptDigest: 'prompt',
  mapping: 'mapping',
};

const standingOf = (
  what: VersionedPart,
  value: string,
  events: readonly RecordedEvent[],
  { facts }: Evidence,
): { standing: Standing; cited: readonly RecordedEvent[] } => {
  const none = { standing: { state: 'no-publication' }, cited: [] } as const;
  if (what === 'connector') return none;
  const users = new Set<string>(events.map(({ entry }) => entry.actor.principal));
  const lastUse = events.at(-1)!.index;
  const name = value.slice(0, value.lastIndexOf('@'));
  const concerns = ({ change }: Publication): boolean =>
    what === 'mapping' ? change.name === name : change.agent === undefined || users.has(change.agent);
  const published = (facts['version.publish'] ?? []).filter(
    (publication) =>
      publication.change.kind === publishedKinds[what] && publication.event.index < lastUse && concerns(publication),
  );
  const latest = published.at(-1);
  if (latest === undefined) return none;
  const { name: latestName, version } = latest.change;
  const inForce = `${latestName}@${version}`;
  if (isNamed(latest, value)) return { standing: { state: 'in-force' }, cited: [latest.event] };
  const earlier = published.findLast((publication) => isNamed(publication, value));
  return earlier === undefined
    ? { standing: { state: 'other-published', inForce }, cited: [latest.event] }
    : { standing: { state: 'superseded', by: inForce }, cited: [earlier.event, latest.event] };
};

/** Prompts are named by digest; builds and models by version alone or together with the name. */
const isNamed = ({ change }: Publication, value: string): boolean =>
  [change.digest, change.version, `${change.name}@${change.version}`, `${change.name}/${change.version}`].includes(
    value,
  );
