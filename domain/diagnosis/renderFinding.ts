/** Deviations and reasons for not knowing, in words. Phrases without a capital and without a full stop. */
import type { Deviation, PolicyReference, UnknownReason } from './finding.ts';
import { missingSentence, rangesPhrase } from './renderMissing.ts';

type DeviationPhrases = {
  readonly [K in Deviation['kind']]: (deviation: Extract<Deviation, { readonly kind: K }>) => string;
};

const deviations: DeviationPhrases = {
  'other-prompt-ran': ({ agent, ran, inForce, publishedAs }) =>
    `${agent} ran the prompt with digest ${short(ran)}${publishedAs === null ? ', which was never published for it' : `, published as ${publishedAs.name}@${publishedAs.version}`}, while ${inForce.name}@${inForce.version} (${short(inForce.digest)}) was in force`,
  'mapping-outdated': ({ system, mapping, used, inForce, objects, misdirected }) =>
    `${objectsPhrase(objects)} in ${system} went through field mapping ${mapping}@${used}, although ${mapping}@${inForce} was in force${misdirectedPhrase(misdirected)}`,
  'sent-not-as-mapped': ({ system, mapping, objects, fields }) =>
    `for ${objectsPhrase(objects)} in ${system}, what was sent is not what mapping ${mapping} makes of the request (${fields.join(', ')})`,
  'read-back-differs': ({ system, action, objects }) =>
    `reading back after ${action} in ${system} showed other values than were sent, for ${objectsPhrase(objects)}`,
  'declared-scope-exceeded': ({ agent, system, action, policy }) =>
    `${policyPhrase(policy)} allowed ${agent} ${action} in ${system}, which is outside of what it was registered for`,
  'delegation-exceeded': ({ why, delegation, agent, user, system, action, policy }) =>
    `${policyPhrase(policy)} allowed ${agent} ${action} in ${system} for ${user}, although delegation ${delegation} ${delegationPhrases[why]}`,
  'disabled-principal-allowed': ({ agent, system, action, policy }) =>
    `${policyPhrase(policy)} allowed ${agent} ${action} in ${system}, although that principal was disabled`,
  'credential-misused': ({ why, system, credential, principal }) =>
    `credential ${credential} of ${system} was used by ${principal}, ${credentialPhrases[why]}`,
  'effect-without-intent': ({ system, action, credential }) =>
    `${action} happened in ${system} under credential ${credential} without any intent in the record`,
};

export const deviationSentence = (deviation: Deviation): string =>
  (deviations[deviation.kind] as (deviation: Deviation) => string)(deviation);

type ReasonPhrases = {
  readonly [K in UnknownReason['kind']]: (reason: Extract<UnknownReason, { readonly kind: K }>) => string;
};

const reasons: ReasonPhrases = {
  'record-not-intact': ({ detail }) => `the record is not known to be intact (${detail})`,
  'control-incomplete': ({ emitter, ranges }) =>
    ranges.length === 0
      ? `nothing is known about gaps of emitter ${emitter}, which writes control entries`
      : `control entries of emitter ${emitter} are missing (sequence ${rangesPhrase(ranges)}), and any of them may have changed what was in force`,
  'run-incomplete': ({ missing }) => `the record lacks ${missingSentence(missing)}`,
  'entry-missing': ({ entry, about }) => `the record holds no ${entry} for ${about}`,
  'not-stated': ({ what, about }) => `no ${what} is stated for ${about}`,
  'content-unreadable': ({ part, why }) => `the content of part ${part} can not be read (${why})`,
  'only-reported': () => "only the agent's own runtime says which prompt ran, which can not clear the agent",
  'unguarded-effect': () => 'an effect belongs to no guarded action by any cause that the record states',
  'several-in-force': ({ about }) =>
    `several prompts were published for ${about}, and the record does not tell which of them was meant`,
  'write-failed': ({ code }) =>
    `a write failed (${code ?? 'no code'}), and whether the integration brought that about is not recorded`,
  'surplus-fields': ({ fields }) =>
    `fields were sent that neither request nor mapping accounts for (${fields.join(', ')})`,
  'attempt-without-permission': () => 'something was attempted although the decision that it names does not allow it',
  'no-effect': () => 'the record holds no attempt that could be compared',
};

export const reasonSentence = (reason: UnknownReason): string =>
  (reasons[reason.kind] as (reason: UnknownReason) => string)(reason);

const short = (digest: string): string => `${digest.slice(0, 12)}…`;

const objectsPhrase = (objects: number): string => {
  if (objects === 0) return 'calls without a recorded effect';
  return `${objects} ${objects === 1 ? 'object' : 'objects'}`;
};

const policyPhrase = ({ policySet, version, policies }: PolicyReference): string =>
  `policy set ${policySet} version ${version}${policies.length > 0 ? ` (${policies.join(', ')})` : ''}`;

const misdirectedPhrase = (
  differences: readonly { logical: string; before: string | null; after: string | null }[] | null,
): string => {
  if (differences === null) return '';
  if (differences.length === 0) return '; for the fields written the two agree';
  const each = differences.map(
    ({ logical, before, after }) => `${logical} went to ${before ?? 'no field'} rather than ${after ?? 'no field'}`,
  );
  return `: ${each.join(', ')}`;
};

const delegationPhrases = {
  scope: 'does not cover it',
  expired: 'had expired',
  revoked: 'had been revoked',
  'other-parties': 'is between other parties',
} as const;

const credentialPhrases = {
  'foreign-principal': 'for whom it is not configured',
  superseded: 'although a newer version had replaced it',
  disabled: 'although it was disabled',
} as const;
