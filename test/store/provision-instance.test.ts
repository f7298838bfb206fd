import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { demoAgent, demoDelegation, demoSpec, demoUser, demoVersionsInPlay } from '../../stack/provision/demo.ts';
import type { TokenSecrets } from '../../stack/provision/missing-tokens.ts';
import { provisionInstance, type ProvisionInstanceOptions } from '../../stack/provision/provision-instance.ts';
import type { InstanceSpec } from '../../stack/provision/spec.ts';
import { openCredential } from '../../store/connector-credentials.ts';
import { openIdentities } from '../../store/identities.ts';
import { ensureInstance, findInstance, findInstanceByLog, listInstances } from '../../store/instances.ts';
import { authenticate, newTokenSecret } from '../../store/tokens.ts';
import { isControlEntry } from '../../domain/entry.ts';
import type { LogWriter } from '../../trail/writer.ts';
import { identify, mapping } from './changes.ts';
import { openTestControl, type TestControl } from './control.ts';

const vendors = {
  urls: {
    salesforce: 'http://127.0.0.1:1001',
    slack: 'http://127.0.0.1:1002/api/',
    gmail: 'http://127.0.0.1:1003',
    jira: 'http://127.0.0.1:1004',
  },
  credentials: {
    salesforce: { accessToken: 'canary-salesforce' },
    slack: { botToken: 'canary-slack' },
    gmail: { accessToken: 'canary-gmail', address: 'agent@acme.example' },
    jira: { email: 'agent@acme.example', apiToken: 'canary-jira' },
  },
};
const spec = demoSpec('acme', vendors);
const everything =
  spec.principals.length +
  spec.identities.length +
  1 +
  spec.versions.length +
  spec.delegations.length +
  spec.tokens.length +
  spec.connectors.length;

let control: TestControl;
/** What a credentials file would hold. */
let kept: TokenSecrets;
beforeEach(async () => {
  control = await openTestControl();
  control.follow();
  kept = {};
});
afterEach(() => control.close());

const provision = (changes: Partial<ProvisionInstanceOptions> = {}) =>
  provisionInstance({
    clients: control.database.clients,
    keys: control.keys,
    trail: control.trail,
    state: control.state,
    spec,
    knownTokens: kept,
    keepTokens: async (secrets) => void (kept = secrets),
    nowMs: Date.now,
    waitMs: 60_000,
    ...changes,
  });

const controlEntries = async () => (await control.batch(0)).entries.filter(({ entry }) => isControlEntry(entry));
const size = async () => (await control.batch(0)).entries.length;
const ask = (secret: string) => authenticate(control.database.clients.reader, secret, new Date());

describe('setting an instance up', () => {
  it('makes everything of its specification, each by a control entry', async () => {
    const { tokens, appended } = await provision();
    const { state } = control;
    expect(appended).toBe(everything);
    expect(await controlEntries()).toHaveLength(everything);
    expect(control.voids).toEqual([]);
    expect(tokens).toEqual(kept);
    for (const { token, principal, role } of spec.tokens)
      expect(await ask(tokens[token]!)).toMatchObject({ principal, role, instance: control.instance });
    expect(await state.policySet()).toMatchObject({ name: 'default', version: 1 });
    expect(await state.versionInForce('mapping', 'contacts')).toMatchObject({
      version: '4',
      system: 'salesforce',
      content: { fields: { phone: 'MobilePhone' } },
    });
    expect(await state.version('mapping', 'contacts', '3')).toMatchObject({ content: { fields: { phone: 'Phone' } } });
    expect(await state.versionInForce('prompt', demoAgent)).toMatchObject({
      agent: demoAgent,
      digest: demoVersionsInPlay('acme').promptDigest,
    });
    expect(await state.delegation(demoUser, demoAgent, new Date())).toMatchObject({ delegation: demoDelegation });
    const identities = openIdentities(control.database.clients.reader, control.instance, control.secrets);
    for (const { principal, identity } of spec.identities)
      expect(await identities.principalOf(identity)).toBe(principal);
    const slack = (await state.connector('slack'))!;
    expect(slack).toMatchObject({ baseUrl: 'http://127.0.0.1:1002/api', principals: [demoAgent] });
    const name = {
      instance: control.instance,
      system: slack.system,
      credential: slack.credential,
      version: slack.credentialVersion,
    };
    const opened = await openCredential(control.database.clients.reader, control.secrets, name, slack.sealed);
    expect(opened).toEqual(vendors.credentials.slack);
    const log = (await control.batch(0)).entries.map(({ bytes }) => Buffer.from(bytes).toString()).join();
    expect(log).not.toContain('canary-');
    for (const { identity } of spec.identities) expect(log).not.toContain(identity.id);
  });

  it('a second time adds nothing', async () => {
    const first = await provision();
    const before = await control.dump();
    const entries = await size();
    expect(await provision()).toEqual({ tokens: first.tokens, appended: 0 });
    expect(await size()).toBe(entries);
    expect(await control.dump()).toEqual(before);
  });

  it.each([0, 1, 8, 14, 20, everything])('that was cut off after %i entries is completed', async (count) => {
    const { writer } = control.trail;
    const dying = {
      append: async (...[events, provenance]: Parameters<LogWriter['append']>) => {
        if (count > 0) await writer.append(events.slice(0, count), provenance);
        throw new Error('killed');
      },
    } as unknown as LogWriter;
    await expect(provision({ trail: { ...control.trail, writer: dying } })).rejects.toThrow('killed');
    const secrets = kept;
    expect(await provision()).toEqual({ tokens: secrets, appended: everything - count });
    expect(await controlEntries()).toHaveLength(everything);
    expect(control.voids).toEqual([]);
    for (const { token } of spec.tokens)
      expect(await ask(kept[token]!)).toMatchObject({ principal: expect.anything() });
  });

  it('issues no token whose secret could not be kept', async () => {
    const full = () => Promise.reject(new Error('the disk is full'));
    await expect(provision({ keepTokens: full })).rejects.toThrow('the disk is full');
    expect(await size()).toBe(0);
  });

  it('in two processes at once makes each entry once', async () => {
    kept = Object.fromEntries(spec.tokens.map(({ token }) => [token, newTokenSecret(control.instance, token)]));
    const results = await Promise.all([provision(), provision({ trail: await control.another() })]);
    expect(results.map(({ tokens }) => tokens)).toEqual([kept, kept]);
    expect(await controlEntries()).toHaveLength(everything);
    expect(control.voids).toEqual([]);
  });
});

describe('what was changed since', () => {
  it('by people is left as they left it', async () => {
    await provision();
    await control.record({ change: 'principal.disable', principal: 'omar' });
    await control.record({ change: 'delegation.revoke', delegation: demoDelegation });
    await control.record({ change: 'connector.disable', system: 'jira', credential: `jira-${demoAgent}` });
    await control.record(...identify('identity.unmap', demoUser, 'U0DANA'));
    const last = await control.record(...mapping('5', { phone: 'HomePhone' }));
    await control.state.waitApplied(last, 60_000);
    expect((await provision()).appended).toBe(0);
    expect(await control.state.principal('omar')).toMatchObject({ disabled: true });
    expect(await control.state.delegation(demoUser, demoAgent, new Date())).toBeUndefined();
    expect(await control.state.connector('jira')).toMatchObject({ disabled: true });
    expect(await control.state.versionInForce('mapping', 'contacts')).toMatchObject({ version: '5' });
  });

  it('in where a system is reached is configured anew, also when it goes back', async () => {
    const moved: InstanceSpec = demoSpec('acme', {
      ...vendors,
      urls: { ...vendors.urls, gmail: 'http://127.0.0.1:2003' },
    });
    await provision();
    for (const [wanted, url] of [
      [moved, 'http://127.0.0.1:2003'],
      [spec, 'http://127.0.0.1:1003'],
      [moved, 'http://127.0.0.1:2003'],
    ] as const) {
      expect((await provision({ spec: wanted })).appended).toBe(1);
      expect(await control.state.connector('gmail')).toMatchObject({ baseUrl: url, credentialVersion: 1 });
    }
  });

  it('in a credential takes its next version', async () => {
    await provision();
    const credentials = { ...vendors.credentials, jira: { email: 'agent@acme.example', apiToken: 'canary-rotated' } };
    expect((await provision({ spec: demoSpec('acme', { ...vendors, credentials }) })).appended).toBe(1);
    expect(await control.state.connector('jira')).toMatchObject({ credentialVersion: 2 });
  });
});

describe('tokens', () => {
  it('whose secrets were lost are revoked and replaced', async () => {
    const lost = (await provision()).tokens;
    kept = {};
    const { tokens, appended } = await provision();
    expect(appended).toBe(2 * spec.tokens.length);
    expect(await ask(lost['agent']!)).toEqual({ refused: 'revoked' });
    expect(await ask(tokens['agent']!)).toMatchObject({ principal: demoAgent, token: 'agent-2' });
  });

  it('that have expired are replaced, and so is a delegation that ran out', async () => {
    await provision();
    const nextYear = Date.now() + 400 * 86_400_000;
    const { tokens } = await provision({ nowMs: () => nextYear });
    expect(await authenticate(control.database.clients.reader, tokens['admin']!, new Date(nextYear))).toMatchObject({
      token: 'admin-2',
    });
    expect(await control.state.delegation(demoUser, demoAgent, new Date(nextYear))).toMatchObject({
      delegation: `${demoDelegation}-2`,
    });
  });

  it('that can not be issued end it with the reason', async () => {
    const tokens = [{ token: 'bad', principal: demoUser, role: 'admin', lifetimeDays: 1 }] as const;
    await expect(provision({ spec: { ...spec, tokens } })).rejects.toMatchObject({
      code: 'PROVISION_FAILED',
      message: expect.stringContaining('does not have the role admin'),
    });
  });
});

describe('the record of an instance', () => {
  it('is made once: the name of its log never changes', async () => {
    const { provisioner, reader } = control.database.clients;
    const made = await ensureInstance(provisioner, control.instance, 'localhost:4580', new Date());
    expect(made.origin).toBe(`localhost:4580/log/${made.logId}`);
    expect(made.logId).toMatch(/^[0-9a-f]{32}$/);
    expect(await ensureInstance(provisioner, control.instance, 'elsewhere.example', new Date())).toEqual(made);
    expect(await findInstance(reader, control.instance)).toEqual(made);
    expect(await findInstanceByLog(reader, made.logId)).toEqual(made);
    expect(await findInstanceByLog(reader, '0'.repeat(32))).toBeUndefined();
    expect((await listInstances(reader)).map(({ instance }) => instance)).toContain(control.instance);
  });

  it('is not there for an instance that only has control state', async () => {
    await provision();
    expect(await findInstance(control.database.clients.reader, control.instance)).toBeUndefined();
  });
});
