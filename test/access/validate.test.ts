import { describe, expect, it } from 'vitest';
import { policySetLimits, validatePolicySet } from '../../domain/access/validate.ts';
import { platformSet } from '../../domain/access/policies.ts';
import { defaultPolicies, platformPolicies } from '../../schema/cedar/texts.ts';

describe('a policy set', () => {
  it('is valid where each policy has an id and fits the schema', () => {
    expect(validatePolicySet(defaultPolicies)).toMatchObject({
      state: 'valid',
      policies: expect.arrayContaining(['agent.declared-scope', 'user.delegated-scope', 'operate.admin']),
    });
    expect(validatePolicySet('')).toEqual({ state: 'valid', policies: [] });
  });

  it('may not take an id of the platform, whose own policies are otherwise valid', () => {
    const validation = validatePolicySet(platformPolicies);
    const problems = validation.state === 'invalid' ? validation.problems : [];
    expect(problems.map(({ kind, policy }) => `${kind} ${policy}`).toSorted()).toEqual(
      platformSet.map(({ id }) => `id ${id}`).toSorted(),
    );
  });

  const head = 'permit(principal, action == Action::"perform", resource)';
  it.each([
    ['not Cedar', 'allow everything', 'syntax'],
    ['a template', '@id("a") permit(principal == ?principal, action, resource);', 'template'],
    ['without an id', `${head};`, 'id'],
    ['an id twice', `@id("a") ${head}; @id("a") ${head};`, 'id'],
    ['an id that does not fit into an entry', `@id("a b") ${head};`, 'id'],
    ['an attribute that there is not', `@id("a") ${head} when { principal.knid == "agent" };`, 'type'],
    ['an attribute that may be absent, unasked', `@id("a") ${head} when { context.purpose == "x" };`, 'type'],
    ['types that do not fit', `@id("a") ${head} when { context.count > "x" };`, 'type'],
    ['an action that there is not', '@id("a") permit(principal, action == Action::"fly", resource);', 'type'],
    [
      'an operation that there is not',
      '@id("a") permit(principal, action == Action::"operate", resource == Operation::"opneRun");',
      'type',
    ],
    ['a policy that can never apply', `@id("a") ${head} when { false };`, 'warning'],
    ['a misspelt annotation', `@id("a") @aproval("required") ${head};`, 'annotation'],
    ['an annotation with another value', `@id("a") @approval("perhaps") ${head};`, 'annotation'],
    ['an annotation without a value', `@id("a") @approval ${head};`, 'annotation'],
    ['approval on a forbid', '@id("a") @approval("required") forbid(principal, action, resource);', 'annotation'],
    ['too long a text', `// ${'x'.repeat(policySetLimits.textBytesMax)}`, 'size'],
  ])('is refused: %s', (_name, text, kind) => {
    const validation = validatePolicySet(text);
    expect(validation.state === 'invalid' && validation.problems.map((problem) => problem.kind)).toContain(kind);
  });
});
