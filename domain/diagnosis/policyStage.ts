/**
 * Policy: was anything allowed that the agent was never meant to do, or that the user never delegated? Compares the
 * decisions that each attempt rests on with the agent's declared scope and the delegation in force at the decision.
 */
import type { RecordedEvent } from '../../schema/event.ts';
import type { ToolScope } from '../../schema/control.ts';
import type { Effect, Evidence } from './evidence.ts';
import {
  basis,
  cite,
  type Basis,
  type Deviation,
  type DeviationDetail,
  type PolicyReference,
  type StageResult,
  type UnknownReason,
} from './finding.ts';
import { disablingInForce, grantInForce, registrationInForce, revocationOf } from './inForce.ts';

export const policyStage = (evidence: Evidence): StageResult => {
  const result = { deviations: [] as Deviation[], unknowns: [] as UnknownReason[], basis: [] as Basis[] };
  for (const effect of evidence.effects) judge(effect, evidence, result);
  if (evidence.unguarded.length > 0) {
    result.unknowns.push({ kind: 'unguarded-effect', citations: evidence.unguarded.map(cite) });
  }
  if (evidence.effects.length === 0) result.unknowns.push({ kind: 'no-effect', citations: [] });
  return result;
};

interface Collected {
  readonly deviations: Deviation[];
  readonly unknowns: UnknownReason[];
  readonly basis: Basis[];
}

const judge = ({ action, record }: Effect, evidence: Evidence, into: Collected): void => {
  const { attempt } = record;
  const { intent } = action;
  const missing = (entry: UnknownReason & { kind: 'entry-missing' }) => into.unknowns.push(entry);
  const lacks = (
    entry:
      | 'intent'
      | 'agent decision'
      | 'user decision'
      | 'basis decision'
      | 'principal registration'
      | 'delegation grant',
    about: string,
  ) => missing({ kind: 'entry-missing', entry, about, citations: [cite(attempt)] });
  if (intent === null) {
    lacks('intent', action.intentId);
    return;
  }
  const ids = attempt.entry.basis?.decisions ?? [];
  if (ids.length === 0) {
    into.unknowns.push({
      kind: 'not-stated',
      what: 'decisions it rests on',
      about: action.intentId,
      citations: [cite(attempt)],
    });
    return;
  }
  const decisions = ids.map((id) => evidence.byId.get(id)).filter((event) => event !== undefined && isDecision(event));
  const resolved = decisions as RecordedEvent[];
  if (resolved.length < ids.length) lacks('basis decision', action.intentId);
  const refused = resolved.filter(({ entry }) => entry.authorization!.result !== 'allow');
  if (refused.length > 0) {
    into.unknowns.push({ kind: 'attempt-without-permission', citations: [...refused, attempt].map(cite) });
    return;
  }
  const aboutAgent = resolved.find(({ entry }) => entry.authorization!.about === 'agent');
  const aboutUser = resolved.find(({ entry }) => entry.authorization!.about === 'user');
  if (aboutAgent === undefined) lacks('agent decision', action.intentId);
  else judgeDeclared(intent, attempt, aboutAgent, evidence, into, lacks);

  const { onBehalfOf, delegation } = intent.entry;
  if (onBehalfOf === undefined) return;
  if (aboutUser === undefined) lacks('user decision', action.intentId);
  else if (delegation === undefined) {
    into.unknowns.push({ kind: 'not-stated', what: 'delegation', about: action.intentId, citations: [cite(intent)] });
  } else judgeDelegated(intent, attempt, aboutUser, delegation, evidence, into, lacks);
};

/** Against what the agent was registered for. */
const judgeDeclared = (
  intent: RecordedEvent,
  attempt: RecordedEvent,
  decision: RecordedEvent,
  { facts }: Evidence,
  into: Collected,
  lacks: (entry: 'principal registration', about: string) => void,
): void => {
  const agent = intent.entry.actor.principal;
  const registered = registrationInForce(facts, agent, decision.index);
  if (registered === undefined) {
    lacks('principal registration', agent);
    return;
  }
  const { system, action } = attempt.entry;
  const policy = policyOf(decision);
  const rests = [basis('intent', intent), basis('decision', decision), basis('attempt', attempt)];
  const disabled = disablingInForce(facts, agent, decision.index);
  if (disabled !== null) {
    const detail: DeviationDetail = { kind: 'disabled-principal-allowed', agent, system, action, policy };
    into.deviations.push({
      ...detail,
      basis: [...rests, basis('principal-disabled', disabled.event)],
      at: cite(decision),
    });
    return;
  }
  rests.push(basis('declaration', registered.event));
  const { declared } = registered.change;
  if (declared === undefined) {
    into.unknowns.push({
      kind: 'not-stated',
      what: 'declared scope',
      about: agent,
      citations: [cite(registered.event)],
    });
  } else if (covers(declared, attempt)) {
    into.basis.push(...rests);
  } else {
    const detail: DeviationDetail = { kind: 'declared-scope-exceeded', agent, system, action, policy };
    into.deviations.push({ ...detail, basis: rests, at: cite(decision) });
  }
};

/** Against what the user let the agent do for them. */
const judgeDelegated = (
  intent: RecordedEvent,
  attempt: RecordedEvent,
  decision: RecordedEvent,
  delegation: string,
  { facts }: Evidence,
  into: Collected,
  lacks: (entry: 'delegation grant', about: string) => void,
): void => {
  const grant = grantInForce(facts, delegation, decision.index);
  if (grant === undefined) {
    lacks('delegation grant', delegation);
    return;
  }
  const { system, action } = attempt.entry;
  const agent = intent.entry.actor.principal;
  const user = intent.entry.onBehalfOf!;
  const rests = [
    basis('intent', intent),
    basis('decision', decision),
    basis('attempt', attempt),
    basis('delegation', grant.event),
  ];
  const revoked = revocationOf(facts, grant, decision.index);
  if (revoked !== undefined) rests.push(basis('delegation', revoked.event));
  const exceeded = (why: 'scope' | 'expired' | 'revoked' | 'other-parties') => {
    const policy = policyOf(decision);
    const detail: DeviationDetail = {
      kind: 'delegation-exceeded',
      why,
      delegation,
      agent,
      user,
      system,
      action,
      policy,
    };
    into.deviations.push({ ...detail, basis: rests, at: cite(decision) });
  };
  if (grant.change.from !== user || grant.change.to !== agent) exceeded('other-parties');
  else if (revoked !== undefined) exceeded('revoked');
  else if (Date.parse(decision.entry.receivedTime) >= Date.parse(grant.change.expires)) exceeded('expired');
  else if (!covers(grant.change.scope, attempt)) exceeded('scope');
  else into.basis.push(...rests);
};

/** Only a decision that the platform recorded allows anything. */
const isDecision = ({ entry }: RecordedEvent): boolean =>
  entry.action === 'authorization.decide' && entry.provenance === 'platform' && entry.authorization !== undefined;

export const policyOf = ({ entry }: RecordedEvent): PolicyReference => ({
  policySet: entry.authorization!.policySet,
  version: entry.authorization!.policyVersion,
  policies: entry.authorization!.policies,
});

const covers = (scope: readonly ToolScope[], { entry }: RecordedEvent): boolean =>
  scope.some(({ system, actions }) => system === entry.system && actions.includes(entry.action));
