/**
 * Strict validation of a policy set before it is published. Cedar skips a policy whose evaluation errs, a `forbid` too,
 * so what can be known to be wrong is refused here, Cedar's warnings included.
 */
import { validate } from '@cedar-policy/cedar-wasm/nodejs';
import { cedarSchema } from '../../schema/cedar/texts.ts';
import { parsePolicies, platformPrefix, toStatic, type Policy, type PolicyProblem } from './policies.ts';

export type Validation =
  | { readonly state: 'valid'; readonly policies: readonly string[] }
  | { readonly state: 'invalid'; readonly problems: readonly [PolicyProblem, ...PolicyProblem[]] };

/** A set is a payload part and is parsed at once. */
export const policySetLimits = { textBytesMax: 262_144, policiesMax: 1000 } as const;

export const validatePolicySet = (text: string): Validation => {
  if (Buffer.byteLength(text) > policySetLimits.textBytesMax)
    return invalid([{ kind: 'size', message: `the set is longer than ${policySetLimits.textBytesMax} bytes` }]);
  const parsed = parsePolicies(text);
  if (parsed.state === 'failed') return invalid(parsed.problems);
  const { policies } = parsed;
  if (policies.length > policySetLimits.policiesMax)
    return invalid([{ kind: 'size', message: `the set has more than ${policySetLimits.policiesMax} policies` }]);
  const problems = [...policies.flatMap(annotationProblems), ...typeProblems(policies)];
  return problems.length > 0 ? invalid(problems) : { state: 'valid', policies: policies.map(({ id }) => id) };
};

/** Annotations that have a meaning, and the values that they may have. Others are refused: they may be misspelt. */
const meanings: Readonly<Record<string, readonly string[] | 'any'>> = {
  id: 'any',
  description: 'any',
  approval: ['required'],
  scope: ['own'],
};

const annotationProblems = ({ id, effect, annotations }: Policy): PolicyProblem[] => {
  const problem = (kind: PolicyProblem['kind'], message: string): PolicyProblem => ({ kind, policy: id, message });
  const problems: PolicyProblem[] = [];
  if (id.startsWith(platformPrefix))
    problems.push(problem('id', `ids that begin with "${platformPrefix}" are the platform's own`));
  for (const [name, value] of Object.entries(annotations)) {
    const allowed = Object.hasOwn(meanings, name) ? meanings[name]! : undefined;
    if (allowed === undefined) problems.push(problem('annotation', `@${name} has no meaning here`));
    else if (allowed !== 'any' && !allowed.includes(value ?? ''))
      problems.push(problem('annotation', `@${name} must be ${allowed.map((one) => `("${one}")`).join(' or ')}`));
    else if (allowed !== 'any' && effect === 'forbid')
      problems.push(problem('annotation', `@${name} has a meaning on a permit only`));
  }
  return problems;
};

const typeProblems = (policies: readonly Policy[]): PolicyProblem[] => {
  const answer = validate({
    schema: cedarSchema,
    policies: { staticPolicies: toStatic(policies) },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') return answer.errors.map(({ message }) => ({ kind: 'syntax', message }));
  const { validationErrors, validationWarnings, otherWarnings } = answer;
  return [
    ...validationErrors.map(({ policyId, error }) => ({
      kind: 'type' as const,
      policy: policyId,
      message: error.message,
    })),
    ...validationWarnings.map(({ policyId, error }) => ({
      kind: 'warning' as const,
      policy: policyId,
      message: error.message,
    })),
    ...otherWarnings.map(({ message }) => ({ kind: 'warning' as const, message })),
  ];
};

const invalid = (problems: readonly PolicyProblem[]): Validation => ({
  state: 'invalid',
  problems: problems as [PolicyProblem, ...PolicyProblem[]],
});
