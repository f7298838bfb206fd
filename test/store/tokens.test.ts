import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authenticate, newTokenSecret, tokenNameOf } from '../../store/tokens.ts';
import { agent, person, token, tomorrow, yesterday } from './changes.ts';
import { openTestControl, type TestControl } from './control.ts';

let control: TestControl;
let secret: string;
beforeAll(async () => {
  control = await openTestControl();
  await control.change(...person('omar', ['operator', 'auditor']));
  await control.change(...agent('bot'));
  const made = token(control, 'omar_operator', 'omar', 'operator');
  secret = made.secret;
  await control.change(...made.issue);
});
afterAll(() => control.close());

const ask = (candidate: string, now = new Date()) => authenticate(control.database.clients.reader, candidate, now);
const issue = async (name: string, principal: string, role: 'operator' | 'auditor' | 'agent', expires = tomorrow()) => {
  const made = token(control, name, principal, role, expires);
  await control.change(...made.issue);
  return made.secret;
};

describe('a bearer token', () => {
  it('stands for its principal in one role', async () => {
    expect(await ask(secret)).toEqual({
      instance: control.instance,
      principal: 'omar',
      kind: 'human',
      role: 'operator',
      token: 'omar_operator',
    });
    expect(tokenNameOf(control.instance, secret)).toBe('omar_operator');
  });

  it.each([
    ['nothing', () => ''],
    ['no token at all', () => 'Bearer 123'],
    ['a forged one', () => newTokenSecret(control.instance, 'omar_operator')],
    ['one byte changed', () => secret.slice(0, -2) + (secret.at(-2) === 'A' ? 'B' : 'A') + secret.at(-1)],
    ['something appended', () => `${secret}A`],
    ['another name', () => secret.replace('omar_operator', 'omar')],
    ["another instance's name on it", () => secret.replace(control.instance, 'globex')],
    ['an operator for MongoDB in its name', () => `tk_${control.instance}_$ne_${'A'.repeat(43)}`],
  ])('is unknown: %s', async (_name, candidate) => {
    expect(await ask(candidate())).toEqual({ refused: 'unknown' });
  });

  it('is refused when it has expired, from that very moment', async () => {
    const expires = tomorrow();
    const expiring = await issue('expiring', 'bot', 'agent', expires);
    expect(await ask(expiring, new Date(Date.parse(expires) - 1))).toMatchObject({ principal: 'bot', kind: 'agent' });
    expect(await ask(expiring, new Date(expires))).toEqual({ refused: 'expired' });
    expect(await ask(await issue('expired', 'bot', 'agent', yesterday()))).toEqual({ refused: 'expired' });
  });

  it('is refused when it was revoked, and does not come back', async () => {
    const revoked = await issue('revoked', 'omar', 'auditor');
    await control.change({ change: 'token.revoke', token: 'revoked' });
    expect(await ask(revoked)).toEqual({ refused: 'revoked' });
    await control.change(...token(control, 'revoked', 'omar', 'auditor').issue);
    expect(control.voids.pop()).toMatchObject({ reason: { code: 'CONFLICT' } });
    expect(await ask(revoked)).toEqual({ refused: 'revoked' });
  });

  it('is refused when its role was taken from the principal', async () => {
    const auditor = await issue('auditor', 'omar', 'auditor');
    await control.change(...person('omar', ['operator']));
    expect(await ask(auditor)).toEqual({ refused: 'revoked' });
    expect(await ask(secret)).toMatchObject({ role: 'operator' });
  });

  it('is refused when the principal is disabled', async () => {
    const disabled = await issue('disabled', 'bot', 'agent');
    await control.change({ change: 'principal.disable', principal: 'bot' });
    expect(await ask(disabled)).toEqual({ refused: 'disabled' });
    // Whoever does not hold the secret does not learn it.
    expect(await ask(newTokenSecret(control.instance, 'disabled'))).toEqual({ refused: 'unknown' });
  });

  it('is kept nowhere: neither in the log nor in the control state', async () => {
    const { entries } = await control.batch(0);
    const random = secret.slice(-43);
    const log = entries.map(({ bytes }) => Buffer.from(bytes).toString('utf8')).join('\n');
    expect(log).toContain('token.issue');
    expect(log).not.toContain(random);
    expect(JSON.stringify(await control.dump())).not.toContain(random);
  });

  it('of another instance does not open this one, though both have a token of that name', async () => {
    const other = await openTestControl();
    try {
      await other.change(...person('omar', ['operator']));
      const theirs = token(other, 'omar_operator', 'omar', 'operator');
      await other.change(...theirs.issue);
      expect(await ask(theirs.secret)).toMatchObject({ instance: other.instance });
      const swapped = theirs.secret.replace(other.instance, control.instance);
      expect(await ask(swapped)).toEqual({ refused: 'unknown' });
    } finally {
      await other.close();
    }
  });
});
