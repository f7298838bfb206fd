/** The plain account of a run: who, as whom, allowed by what, what was done, in which versions, and what is missing. */
import type { RecordedEvent } from '../../schema/event.ts';
import type { ErrorCode, Outcome } from '../../schema/taxonomy.ts';
import { isRetried, lackOfAttempt } from '../completeness.ts';
import type { ActionRecord } from '../timeline/actions.ts';
import { objectTallyOf } from '../timeline/objectTally.ts';
import { changes } from './changes.ts';
import type { Evidence, Integrity } from './evidence.ts';
import { cite, uniqueCitations, type Citation } from './finding.ts';
import { policyOf } from './policyStage.ts';
import type { Statement, StatementDetail } from './statement.ts';
import { versionsInPlay } from './versionsInPlay.ts';

export const accountOf = (evidence: Evidence, integrity: Integrity): Statement[] => {
  const actions = evidence.actions.toSorted((a, b) => place(a, evidence) - place(b, evidence));
  return [
    ...triggers(evidence),
    ...identities(evidence),
    ...actions.flatMap(permission),
    ...actions.flatMap(step),
    ...changes(evidence),
    ...reportedEffects(evidence),
    ...missing(evidence),
    integrityStatement(integrity),
    ...versionsInPlay(evidence),
  ];
};

const place = ({ intentId }: ActionRecord, { position }: Evidence): number => position.get(intentId) ?? Infinity;

const triggers = ({ events }: Evidence): Statement[] => {
  const opened = events.filter(({ entry }) => entry.action === 'run.open' && entry.provenance === 'platform');
  if (opened.length === 0) return [{ kind: 'trigger-unknown', citations: [] }];
  return opened.map((event) => ({
    kind: 'trigger',
    principal: event.entry.actor.principal,
    actor: event.entry.actor.kind,
    onBehalfOf: event.entry.onBehalfOf ?? null,
    purpose: event.entry.purpose ?? null,
    citations: [cite(event)],
  }));
};

const identities = ({ effects }: Evidence): Statement[] => {
  const found = new Map<string, { detail: Extract<StatementDetail, { kind: 'identity' }>; citations: Citation[] }>();
  for (const { action, record } of effects) {
    const { entry } = record.attempt;
    const asked = action.intent?.entry ?? entry;
    const detail = {
      kind: 'identity' as const,
      system: entry.system,
      credential: entry.credential === undefined ? null : `${entry.credential.id}@${entry.credential.version}`,
      principal: asked.actor.principal as string,
      onBehalfOf: asked.onBehalfOf ?? null,
      delegation: asked.delegation ?? null,
    };
    const key = JSON.stringify(detail);
    const known = found.get(key);
    const citations = known?.citations ?? [];
    citations.push(cite(record.attempt));
    found.set(key, { detail: { ...detail, attempts: citations.length }, citations });
  }
  return [...found.values()].map(({ detail, citations }) => ({ ...detail, citations }));
};

/** The intent where it is held, else any entry that tells what the action was about. */
const subjectOf = ({ intent, attempts, outcomes, decisions }: ActionRecord): RecordedEvent | undefined =>
  intent ?? attempts[0]?.attempt ?? outcomes[0] ?? decisions[0];

const permission = (action: ActionRecord): Statement[] => {
  const subject = subjectOf(action);
  if (subject === undefined) return [];
  const decided = action.decisions.filter(({ entry }) => entry.authorization !== undefined);
  const answer = action.approvals.findLast(({ entry }) => entry.action === 'approval.decide');
  const asked = action.approvals.length > 0;
  const result = answer === undefined ? 'pending' : answer.entry.outcome === 'success' ? 'granted' : 'denied';
  return [
    {
      kind: 'permission',
      intent: action.intentId,
      system: subject.entry.system,
      action: subject.entry.action,
      decisions: decided.map((event) => ({
        about: event.entry.authorization!.about,
        result: event.entry.authorization!.result,
        policy: policyOf(event),
      })),
      approval: asked ? { result, by: answer?.entry.actor.principal ?? null } : null,
      citations: uniqueCitations([...decided, ...action.approvals].map(cite)),
    },
  ];
};

type StepStatus = Extract<StatementDetail, { kind: 'step' }>['status'];

const step = (action: ActionRecord): Statement[] => {
  const subject = subjectOf(action);
  if (subject === undefined) return [];
  const { attempts, outcomes, settlements } = action;
  const ends = [...attempts.flatMap((record) => record.outcomes), ...outcomes, ...settlements];
  const objects: Partial<Record<Outcome, number>> = {};
  for (const { entry } of attempts.flatMap((record) => record.objectOutcomes)) {
    if (entry.outcome !== undefined) objects[entry.outcome] = (objects[entry.outcome] ?? 0) + 1;
  }
  const failing = [
    ...ends,
    ...attempts.flatMap((r) => [...r.objectOutcomes, ...r.verifications, ...r.objectVerifications]),
  ];
  const errors = new Set<ErrorCode>(
    failing.flatMap(({ entry }) => (entry.error === undefined ? [] : [entry.error.code])),
  );
  return [
    {
      kind: 'step',
      intent: action.intentId,
      system: subject.entry.system,
      action: subject.entry.action,
      status: statusOf(action, objects),
      settled: settlements.length > 0,
      calls: attempts.length,
      retries: attempts.filter((_, at) => at > 0 && isRetried(attempts, at - 1)).length,
      objects,
      tally: objectTallyOf(action),
      errors: [...errors],
      citations: uniqueCitations([subject, ...ends, ...attempts.map((record) => record.attempt)].map(cite)),
    },
  ];
};

const statusOf = (action: ActionRecord, objects: Partial<Record<Outcome, number>>): StepStatus => {
  const { attempts, outcomes, settlements, approvals } = action;
  const settled = settlements.at(-1)?.entry.outcome;
  if (settled !== undefined) return settled;
  if (attempts.length === 0) {
    return outcomes.at(-1)?.entry.outcome ?? (approvals.length > 0 ? 'pending' : 'missing');
  }
  const lacks = attempts.map((record, at) => {
    const lack = lackOfAttempt(record);
    return lack === 'retry' && isRetried(attempts, at) ? null : lack;
  });
  const lack = lacks.find((one) => one !== null);
  if (lack !== undefined) return lack === 'none' ? 'missing' : lack;
  const last = attempts.flatMap((record) => record.outcomes.map(({ entry }) => entry.outcome));
  const refuted = attempts.some(({ verifications }) => verifications.some(({ entry }) => entry.outcome === 'failure'));
  const worked = last.includes('success') || last.includes('unknown');
  if (last.includes('denied') && !worked) return 'denied';
  if (!worked) return 'failure';
  return last.includes('failure') || refuted || (objects.failure ?? 0) > 0 ? 'partial' : 'success';
};

const reportedEffects = ({ unguarded }: Evidence): Statement[] => {
  const groups = Map.groupBy(unguarded, ({ entry }) => `${entry.system} ${entry.action}`);
  return [...groups.values()].map((events) => ({
    kind: 'reported-effect',
    system: events[0]!.entry.system,
    action: events[0]!.entry.action,
    events: events.length,
    citations: events.map(cite),
  }));
};

const missing = ({ completeness, byId }: Evidence): Statement[] =>
  completeness.state === 'COMPLETE'
    ? []
    : completeness.missing.map((reason) => {
        const intent = 'intent' in reason ? byId.get(reason.intent) : undefined;
        return { kind: 'missing', missing: reason, citations: intent === undefined ? [] : [cite(intent)] };
      });

const integrityStatement = (integrity: Integrity): Statement =>
  integrity.state === 'intact'
    ? { kind: 'intact', size: integrity.size, citations: [] }
    : { kind: 'not-intact', detail: integrity.detail, citations: [] };
