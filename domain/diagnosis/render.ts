/** A diagnosis in words: one English sentence a statement, each with the entries that it rests on. */
import type { MissingReason } from '../completeness.ts';
import type { Diagnosis, Verdict } from './diagnose.ts';
import type { Cause, Citation, Finding } from './finding.ts';
import { missingSentence } from './renderMissing.ts';
import { deviationSentence, reasonSentence } from './renderFinding.ts';
import type { PermissionDecision, Standing, Statement, VersionedPart } from './statement.ts';

const citationsShownMax = 8;

/** The verdict first, then the findings, then the account. Values appear only where the payload could be read. */
export const renderDiagnosis = (diagnosis: Diagnosis): string[] => [
  withCitations(renderVerdict(diagnosis.verdict), diagnosis.verdict.citations),
  ...diagnosis.findings.flatMap(renderFinding),
  ...diagnosis.statements.map((statement) => withCitations(renderStatement(statement), statement.citations)),
];

export const causeNames: Readonly<Record<Cause, string>> = {
  prompt: 'the prompt',
  integration: 'the integration',
  policy: 'the policy',
  'service-account': 'the service account',
};

const withCitations = (sentence: string, citations: readonly Citation[]): string => {
  if (citations.length === 0) return sentence;
  const shown = citations.slice(0, citationsShownMax).map(({ index }) => `#${index}`);
  const more = citations.length - shown.length;
  return `${sentence} [${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}]`;
};

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

const named = (of: readonly Cause[]): string => listed(of.map((cause) => causeNames[cause]));

/** Without citations. */
export const renderVerdict = (verdict: Verdict): string => {
  if (verdict.state === 'established') {
    const first = `the chain first diverged at entry #${verdict.first.at.index}`;
    const open = verdict.unknown.length > 0 ? `; whether ${named(verdict.unknown)} had a part in it is unknown` : '';
    return `Established cause: ${named(verdict.causes)}; ${first}${open}.`;
  }
  if (verdict.why === 'no-deviation') {
    return 'Undetermined: every stage conforms to its reference, so the approved prompt itself or the source data may be at fault, which the record can not tell apart.';
  }
  if (verdict.why === 'record-not-intact')
    return 'Undetermined: the record is not known to be intact, so it proves nothing.';
  return `Undetermined: no cause is established, and ${named(verdict.unknown)} can not be excluded, since deciding evidence is missing.`;
};

/** One sentence for each deviation or reason, with the entries that it rests on. */
export const renderFinding = (finding: Finding): string[] => {
  const name = causeNames[finding.cause];
  if (finding.state === 'excluded') {
    return [withCitations(`Excluded: ${name} conformed to what was in force.`, finding.citations)];
  }
  if (finding.state === 'unknown') {
    return finding.reasons.map((reason) =>
      withCitations(`Unknown for ${name}: ${reasonSentence(reason)}.`, reason.citations),
    );
  }
  return finding.deviations.map((deviation) =>
    withCitations(
      `Established for ${name}: ${deviationSentence(deviation)}.`,
      deviation.basis.flatMap(({ citations }) => citations),
    ),
  );
};

const partNames: Readonly<Record<VersionedPart, string>> = {
  agentBuild: 'Agent build',
  model: 'Model',
  promptDigest: 'Prompt digest',
  connector: 'Connector',
  mapping: 'Field mapping',
};

type Sentences = { readonly [K in Statement['kind']]: (statement: Extract<Statement, { readonly kind: K }>) => string };

const sentences: Sentences = {
  trigger: ({ principal, actor, onBehalfOf, purpose }) =>
    `The run was triggered by the ${actor} ${principal}${onBehalfOf === null ? '' : ` on behalf of ${onBehalfOf}`}${purpose === null ? '' : ` for the purpose ${purpose}`}.`,
  'trigger-unknown': () => 'Who triggered the run is unknown: the record holds no opening of it.',
  identity: ({ system, credential, principal, onBehalfOf, delegation, attempts }) =>
    `In ${system}, ${principal} assumed ${credential === null ? 'an identity that is unknown' : `the identity of credential ${credential}`} ${onBehalfOf === null ? 'for nobody else' : `for ${onBehalfOf}`}${delegation === null ? '' : ` under delegation ${delegation}`}, in ${counted(attempts, 'call')}.`,
  permission: ({ system, action, intent, decisions, approval }) =>
    `Action ${intent}, ${action} in ${system}, ${decisionsPhrase(decisions)}${approval === null ? '' : approvalPhrase[approval.result](approval.by)}.`,
  step: (step) => {
    const objects = Object.entries(step.objects).map(([outcome, count]) => `${count} ${outcome}`);
    return `Action ${step.intent}, ${step.action} in ${step.system}, ${stepPhrase(step)}${step.settled ? ', as was found out afterwards' : ''} after ${counted(step.calls, 'call')}${step.retries > 0 ? `, ${step.retries} of them tried again` : ''}${objects.length > 0 && step.status !== 'partial' ? `; objects: ${objects.join(', ')}` : ''}${step.errors.length > 0 ? `; errors: ${step.errors.join(', ')}` : ''}.`;
  },
  change: ({ system, action, field, objects, unreadable, examples }) => {
    const shown = examples.map(({ from, to, objects: n }) => `${from ?? 'nothing'} to ${to} (${n})`);
    const hidden = unreadable > 0 ? `; the values of ${unreadable} are unknown, since they can not be read` : '';
    return `Field ${field} in ${system} was changed by ${action} in ${counted(objects, 'object')}${shown.length > 0 ? `, for example from ${shown.join(', ')}` : ''}${hidden}.`;
  },
  missing: ({ missing }) => `Missing: ${missingSentence(missing)}.`,
  intact: ({ size }) => `The record is intact: all ${size} entries that the check covers are as they were written.`,
  'not-intact': ({ detail }) => `The record is not known to be intact: ${detail}.`,
  version: ({ what, value, standing }) => `${partNames[what]} ${value} was in play${standingPhrase(what, standing)}.`,
  'version-unknown': ({ what }) => `${partNames[what]}: which one was in play is unknown, since no entry says so.`,
  'reported-effect': ({ system, action, events }) =>
    `The agent's own runtime reports ${action} in ${system} (${counted(events, 'entry', 'entries')}), which the platform neither decided nor carried out.`,
};

/** Without citations. */
export const renderStatement = (statement: Statement): string =>
  (sentences[statement.kind] as (statement: Statement) => string)(statement);

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

const decisionsPhrase = (decisions: readonly PermissionDecision[]): string => {
  if (decisions.length === 0) return 'was decided by nothing that the record holds, so what allowed it is unknown';
  const each = decisions.map(({ about, result, policy }) => {
    const by = policy.policies.length > 0 ? ` by ${policy.policies.join(', ')}` : '';
    return `${result === 'allow' ? 'allowed' : 'denied'} for the ${about} by policy set ${policy.policySet} version ${policy.version}${by}`;
  });
  return `was ${listed(each)}`;
};

const approvalPhrase = {
  granted: (by: string | null) => `, and approved by ${by ?? 'somebody unknown'}`,
  denied: (by: string | null) => `, and its approval was refused by ${by ?? 'somebody unknown'}`,
  pending: () => ', and its approval is not recorded as answered',
} as const;

const statusPhrases: Readonly<Record<Extract<Statement, { kind: 'step' }>['status'], string>> = {
  success: 'succeeded',
  partial: 'failed in part',
  failure: 'failed',
  denied: 'was denied',
  unknown: 'has an unknown outcome: it may or may not have taken effect',
  pending: 'is still waiting',
  retry: 'failed, and the attempt that should have followed is not recorded',
  missing: 'has no recorded outcome',
};

const standingPhrase = (what: VersionedPart, standing: Standing): string => {
  if (standing.state === 'in-force') return ' and was the one in force';
  if (standing.state === 'superseded') return `, although ${standing.by} had replaced it`;
  if (standing.state === 'other-published') return `, although ${standing.inForce} was in force`;
  return what === 'connector' ? '' : '; whether it was the one in force is unknown, since no publication is recorded';
};

/** Where several objects were meant, how many of them it took effect in is what the reader has to know. */
const stepPhrase = ({ status, tally: { succeeded, failed, notTried } }: Extract<Statement, { kind: 'step' }>): string =>
  status === 'partial' || (status === 'failure' && succeeded + failed + notTried > 1)
    ? `${statusPhrases[status]}: ${succeeded} succeeded, ${failed} failed, ${notTried} never tried,`
    : statusPhrases[status];

/** For a caller that shows what a run lacks without a diagnosis. */
export const renderMissing = (missing: readonly MissingReason[]): string[] =>
  missing.map((reason) => `Missing: ${missingSentence(reason)}.`);
