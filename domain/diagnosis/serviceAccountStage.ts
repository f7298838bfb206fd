/**
 * Service account: was each credential used only by whom it was configured for, and did nothing happen under it that
 * nobody intended? Compares each attempt with the configuration in force, and observed effects with the intents.
 */
import type { RecordedEvent } from '../../schema/event.ts';
import { isWrite, type Effect, type Evidence } from './evidence.ts';
import { basis, cite, type Basis, type Deviation, type StageResult, type UnknownReason } from './finding.ts';
import { credentialConfigurations, disablingOfCredential } from './inForce.ts';
import { lineage } from '../timeline/lineage.ts';

export const serviceAccountStage = (evidence: Evidence): StageResult => {
  const result = { deviations: [] as Deviation[], unknowns: [] as UnknownReason[], basis: [] as Basis[] };
  for (const effect of evidence.effects) judgeAttempt(effect, evidence, result);
  for (const event of evidence.events) {
    if (event.entry.phase === 'observation' && isWrite(event.entry)) judgeObservation(event, evidence, result);
  }
  const reported = evidence.unguarded.filter(({ entry }) => entry.phase !== 'observation');
  for (const event of reported) {
    // The agent's own word that it used our credential by itself convicts; without a credential it leaves it open.
    if (event.entry.credential !== undefined) judgeObservation(event, evidence, result);
    else result.unknowns.push({ kind: 'unguarded-effect', citations: [cite(event)] });
  }
  if (evidence.effects.length === 0) result.unknowns.push({ kind: 'no-effect', citations: [] });
  return result;
};

interface Collected {
  readonly deviations: Deviation[];
  readonly unknowns: UnknownReason[];
  readonly basis: Basis[];
}

const judgeAttempt = ({ action, record: { attempt } }: Effect, { facts }: Evidence, into: Collected): void => {
  const { intent, intentId } = action;
  const { credential, system } = attempt.entry;
  if (intent === null) {
    into.unknowns.push({ kind: 'entry-missing', entry: 'intent', about: intentId, citations: [cite(attempt)] });
    return;
  }
  if (credential === undefined) {
    into.unknowns.push({ kind: 'not-stated', what: 'credential', about: intentId, citations: [cite(attempt)] });
    return;
  }
  const configurations = credentialConfigurations(facts, system, credential.id, attempt.index);
  const used = configurations.findLast(({ change }) => change.credentialVersion === credential.version);
  const inForce = configurations.at(-1);
  if (used === undefined || inForce === undefined) {
    const about = `${system} ${credential.id}@${credential.version}`;
    into.unknowns.push({
      kind: 'entry-missing',
      entry: 'credential configuration',
      about,
      citations: [cite(attempt)],
    });
    return;
  }
  const rests = [
    basis('intent', intent),
    basis('attempt', attempt),
    basis('credential-configured', used.event),
    ...(used === inForce ? [] : [basis('credential-configured', inForce.event)]),
  ];
  const disabled = disablingOfCredential(facts, inForce, attempt.index);
  // The platform itself may stand as actor of an attempt; then the intent says for whom it acted.
  const acting = [intent, attempt].filter(({ entry }) => entry.actor.kind !== 'platform');
  const stranger = acting.find(({ entry }) => !inForce.change.principals.includes(entry.actor.principal));
  const misused = (
    why: 'foreign-principal' | 'superseded' | 'disabled',
    principal: string,
    more: readonly Basis[] = [],
  ) =>
    into.deviations.push({
      kind: 'credential-misused',
      why,
      system,
      credential: `${credential.id}@${credential.version}`,
      principal,
      basis: [...rests, ...more],
      at: cite(attempt),
    });
  const principal = intent.entry.actor.principal;
  if (acting.length === 0) {
    into.unknowns.push({ kind: 'not-stated', what: 'acting agent', about: intentId, citations: [cite(intent)] });
  } else if (stranger !== undefined) misused('foreign-principal', stranger.entry.actor.principal);
  else if (disabled !== undefined) misused('disabled', principal, [basis('credential-disabled', disabled.event)]);
  else if (used !== inForce) misused('superseded', principal);
  else into.basis.push(...rests);
};

/** A change that was seen in a target system. */
const judgeObservation = (event: RecordedEvent, evidence: Evidence, into: Collected): void => {
  const { system, action, credential } = event.entry;
  const above = [...lineage(event, evidence.byId)];
  const root = above.at(-1)!.entry;
  const intended = above.some(({ entry }) => entry.provenance === 'platform' && entry.phase === 'intent');
  if (intended) {
    into.basis.push(basis('observation', event));
    return;
  }
  if (resemblesAttempt(event, evidence)) {
    into.unknowns.push({ kind: 'unguarded-effect', citations: [cite(event)] });
    return;
  }
  if (credential === undefined) {
    into.unknowns.push({
      kind: 'not-stated',
      what: 'credential',
      about: `${system} ${action}`,
      citations: [cite(event)],
    });
    return;
  }
  const about = `${system} ${credential.id}@${credential.version}`;
  const configured = credentialConfigurations(evidence.facts, system, credential.id, event.index).at(-1);
  // With an unknown cause or a gap, the intent may be what is missing.
  const missing =
    root.causedBy !== undefined || evidence.incomplete.length > 0
      ? 'intent'
      : configured === undefined
        ? 'credential configuration'
        : null;
  if (missing !== null || configured === undefined) {
    const entry = missing ?? 'credential configuration';
    into.unknowns.push({ kind: 'entry-missing', entry, about, citations: [cite(event)] });
    return;
  }
  into.deviations.push({
    kind: 'effect-without-intent',
    system,
    action,
    credential: `${credential.id}@${credential.version}`,
    basis: [basis('observation', event), basis('credential-configured', configured.event)],
    at: cite(event),
  });
};

/**
 * The same was done to the same object by a guarded action: it may be what was seen, and may be not, as long as no
 * cause says so.
 */
const resemblesAttempt = ({ entry }: RecordedEvent, { effects }: Evidence): boolean =>
  entry.resource !== undefined &&
  effects.some(({ record }) =>
    [record.attempt, ...record.objects].some(
      (attempt) =>
        attempt.entry.resource?.urn === entry.resource?.urn &&
        attempt.entry.action === entry.action &&
        attempt.entry.system === entry.system,
    ),
  );
