import { describe, expect, it } from 'vitest';
import { combine, decideAction, type ActionQuestion } from '../../domain/access/decide-action.ts';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import { bot, context, dana, defaultSet, setOf } from './sets.ts';

const update = { system: 'salesforce', action: 'record.update' } as const;
const remove = { system: 'salesforce', action: 'record.delete' } as const;
const send = { system: 'gmail', action: 'message.send' } as const;

const scope = (...actions: ('record.update' | 'record.delete')[]) => ({
  delegation: 'd1',
  scope: [{ system: 'salesforce' as const, actions }],
});

const decide = (changes: Partial<ActionQuestion>) =>
  decideAction({ agent: bot, tool: update, context: context(), policySet: defaultSet, controlEpoch: 9, ...changes });
const results = (changes: Partial<ActionQuestion>) =>
  decide(changes).map(({ authorization }) => `${authorization.about} ${authorization.result}`);
const cited = (changes: Partial<ActionQuestion>) =>
  decide(changes).flatMap(({ authorization }) => authorization.policies);

const widened = (extra: string) => setOf(`${defaultPolicies}\n${extra}`);

describe('an action needs the agent and the user, each by itself', () => {
  it.each<[string, Partial<ActionQuestion>, string[]]>([
    ['the agent alone, within what it is declared for', {}, ['agent allow']],
    ['the agent alone, outside of it', { tool: send }, ['agent deny']],
    ['an agent that declared nothing', { agent: { ...bot, declared: [] } }, ['agent deny']],
    ['both within', { user: dana, delegation: scope('record.update') }, ['agent allow', 'user allow']],
    [
      'the agent within, the user not: an agent takes no more than was delegated',
      { user: dana, delegation: scope('record.delete') },
      ['agent allow', 'user deny'],
    ],
    [
      'the user within, the agent not: a user lends no more than the agent may do',
      { agent: { ...bot, declared: [] }, user: dana, delegation: scope('record.update') },
      ['agent deny', 'user allow'],
    ],
    ['no delegation in force', { user: dana }, ['agent allow', 'user deny']],
    ['neither', { tool: send, user: dana, delegation: scope('record.update') }, ['agent deny', 'user deny']],
    ['a disabled agent', { agent: { ...bot, disabled: true } }, ['agent deny']],
    [
      'a disabled user',
      { user: { ...dana, disabled: true }, delegation: scope('record.update') },
      ['agent allow', 'user deny'],
    ],
    ['the kill flag', { context: context({ suspended: true }) }, ['agent deny']],
    ['a person as agent', { agent: { ...dana, declared: bot.declared! } }, ['agent deny']],
    ['no policy set published', { policySet: undefined }, ['agent deny']],
  ])('%s', (_name, changes, expected) => {
    expect(results(changes)).toEqual(expected);
    expect(combine(decide(changes)).result).toBe(expected.every((r) => r.endsWith('allow')) ? 'allow' : 'deny');
  });

  it('says which policies of which version decided, and what was known of the control state', () => {
    expect(decide({ user: dana, delegation: scope('record.update') })).toEqual([
      {
        authorization: {
          about: 'agent',
          result: 'allow',
          policySet: 'default',
          policyVersion: 1,
          policies: ['agent.declared-scope'],
          controlEpoch: 9,
        },
        errors: [],
      },
      {
        authorization: {
          about: 'user',
          result: 'allow',
          policySet: 'default',
          policyVersion: 1,
          policies: ['user.delegated-scope'],
          controlEpoch: 9,
        },
        errors: [],
      },
    ]);
  });

  it('no decision at all allows nothing', () => {
    expect(combine([])).toEqual({ result: 'deny', approvalRequired: false });
  });
});

describe('forbid wins', () => {
  const everything = '@id("everything") permit(principal, action, resource);';
  it.each<[string, Partial<ActionQuestion>, string]>([
    ['the kill flag', { context: context({ suspended: true }) }, 'platform.suspended'],
    ['a disabled agent', { agent: { ...bot, disabled: true } }, 'platform.disabled'],
    ['a user who delegated nothing', { user: dana }, 'platform.undelegated'],
  ])('whatever an instance publishes: %s', (_name, changes, policy) => {
    const policySet = setOf(everything);
    expect(combine(decide({ ...changes, policySet })).result).toBe('deny');
    expect(cited({ ...changes, policySet })).toContain(policy);
  });

  it('a forbid of the set wins over its permits', () => {
    const policySet = widened(
      '@id("no-phones") forbid(principal, action == Action::"perform", resource) when { context.fields.contains("Phone") };',
    );
    expect(results({ policySet })).toEqual(['agent allow']);
    const phones = { policySet, context: context({ fields: ['Phone', 'Email'] }) };
    expect(results(phones)).toEqual(['agent deny']);
    expect(cited(phones)).toEqual(['no-phones']);
  });
});

describe('an evaluation that errs denies', () => {
  // Valid by type, but it overflows when it is evaluated; Cedar itself skips it and allows.
  const overflows = (effect: string) =>
    `@id("overflows") ${effect}(principal, action == Action::"perform", resource) when { context.count * 9223372036854775807 < 0 };`;
  it.each(['forbid', 'permit'])('in a %s, also where another policy permits', (effect) => {
    const [decision] = decide({ policySet: widened(overflows(effect)), context: context({ count: 2 }) });
    expect(decision).toMatchObject({
      authorization: { result: 'deny', policies: ['overflows'] },
      errors: ['EVALUATION_FAILED overflows'],
    });
  });

  it('in a request that is not of the schema', () => {
    const [decision] = decide({ context: context({ count: 1.5 }) });
    expect(decision).toMatchObject({ authorization: { result: 'deny', policies: [] }, errors: ['REQUEST_INVALID'] });
  });

  it('in a set that does not parse', () => {
    const [decision] = decide({ policySet: setOf('permit(') });
    expect(decision).toMatchObject({ authorization: { result: 'deny' }, errors: ['POLICY_SET_INVALID'] });
  });
});

describe('approval', () => {
  const asksFor = (changes: Partial<ActionQuestion>) => combine(decide(changes)).approvalRequired;

  it.each<[string, Partial<ActionQuestion>, boolean]>([
    ['an update of 500 records', { context: context({ count: 500 }) }, false],
    ['an update of 501 records', { context: context({ count: 501 }) }, true],
    [
      'a read of 5000 records',
      { tool: { ...update, action: 'record.read' }, context: context({ count: 5000 }) },
      false,
    ],
    ['a deletion', { tool: remove }, true],
    ['a deletion for a user', { tool: remove, user: dana, delegation: scope('record.delete') }, true],
    ['a denied deletion', { tool: remove, user: dana, delegation: scope('record.update') }, false],
  ])('by the default set: %s', (_name, changes, expected) => {
    expect(asksFor(changes)).toBe(expected);
  });

  it('is asked for even where another policy permits without', () => {
    expect(cited({ tool: remove })).toEqual(['agent.declared-scope', 'approval.delete']);
  });

  it('is asked for where only the decision about the user asks', () => {
    const policySet = widened(
      '@id("careful") @approval("required") permit(principal, action == Action::"perform", resource) when { principal.kind == "human" };',
    );
    expect(asksFor({ policySet })).toBe(false);
    expect(asksFor({ policySet, user: dana, delegation: scope('record.update') })).toBe(true);
  });

  it('can be asked for mail that leaves the house', () => {
    const policySet = widened(`
      @id("mail") permit(principal, action == Action::"perform", resource) when { resource.action == "message.send" };
      @id("mail-outside") @approval("required") permit(principal, action == Action::"perform", resource)
      when {
        resource.action == "message.send" && context.effect == "irreversible" &&
        context has recipientDomains && !(["acme.example"].containsAll(context.recipientDomains))
      };`);
    const mail = (...recipientDomains: string[]) => ({
      tool: send,
      policySet,
      context: context({ effect: 'irreversible', recipientDomains }),
    });
    expect(asksFor(mail('acme.example'))).toBe(false);
    expect(asksFor(mail('acme.example', 'elsewhere.example'))).toBe(true);
  });
});

describe('policy sets', () => {
  it('are told apart by their text, whatever they are called', () => {
    expect(results({ policySet: setOf('') })).toEqual(['agent deny']);
    expect(results({})).toEqual(['agent allow']);
  });

  it('stay right when more of them are used than Cedar holds at once', () => {
    const numbered = (n: number) =>
      setOf(`@id("p${n}") permit(principal, action == Action::"perform", resource) when { context.count == ${n} };`, n);
    for (const round of [1, 2])
      for (let n = 1; n <= 100; n += 1) {
        expect([round, n, cited({ policySet: numbered(n), context: context({ count: n }) })]).toEqual([
          round,
          n,
          [`p${n}`],
        ]);
        expect(results({ policySet: numbered(n), context: context({ count: n + 1 }) })).toEqual(['agent deny']);
      }
  });
});
