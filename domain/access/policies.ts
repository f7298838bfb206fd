/** Takes a text of Cedar policies apart into single policies, each named by its `@id`. */
import { policySetTextToParts, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { platformPolicies } from '../../schema/cedar/texts.ts';

export interface Policy {
  readonly id: string;
  /** Of this policy alone. */
  readonly text: string;
  readonly effect: 'permit' | 'forbid';
  readonly annotations: Readonly<Record<string, string | null>>;
}

export interface PolicyProblem {
  readonly kind: 'syntax' | 'template' | 'id' | 'annotation' | 'type' | 'warning' | 'size';
  /** Its id, or its position from 1 where it has none. */
  readonly policy?: string;
  /** Cedar's own words where they are Cedar's. */
  readonly message: string;
}

export type Parsed =
  | { readonly state: 'parsed'; readonly policies: readonly Policy[] }
  | { readonly state: 'failed'; readonly problems: readonly PolicyProblem[] };

/** Ids stand in entries (at most 64 of 128 characters). */
export const policyIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export const parsePolicies = (text: string): Parsed => {
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') return failed(parts.errors.map(({ message }) => ({ kind: 'syntax', message })));
  if (parts.policy_templates.length > 0)
    return failed([{ kind: 'template', message: 'templates are not taken: write each policy out' }]);
  const policies: Policy[] = [];
  const problems: PolicyProblem[] = [];
  for (const [position, policy] of parts.policies.entries()) {
    const json = policyToJson(policy);
    if (json.type === 'failure') {
      problems.push(...json.errors.map(({ message }): PolicyProblem => ({ kind: 'syntax', message })));
      continue;
    }
    const annotations = (json.json.annotations ?? {}) as Record<string, string | null>;
    const id = annotations['id'];
    if (typeof id !== 'string' || !policyIdPattern.test(id))
      problems.push({
        kind: 'id',
        policy: String(position + 1),
        message: 'it needs an @id("...") of up to 128 letters, digits, dots, hyphens and underscores',
      });
    else if (policies.some((other) => other.id === id))
      problems.push({ kind: 'id', policy: id, message: 'another policy of the set has this @id' });
    else policies.push({ id, text: policy, effect: json.json.effect, annotations });
  }
  return problems.length > 0 ? failed(problems) : { state: 'parsed', policies };
};

const failed = (problems: readonly PolicyProblem[]): Parsed => ({ state: 'failed', problems });

/** Ids that begin so are those of the policies that no instance can take away. */
export const platformPrefix = 'platform.';

const loadPlatform = (): readonly Policy[] => {
  const parsed = parsePolicies(platformPolicies);
  if (parsed.state === 'failed') throw new Error(`platform.cedar: ${JSON.stringify(parsed.problems)}`);
  return parsed.policies;
};
export const platformSet: readonly Policy[] = loadPlatform();

/** In the form that Cedar takes. */
export const toStatic = (policies: readonly Policy[]): Record<string, string> =>
  Object.fromEntries(policies.map(({ id, text }) => [id, text]));
