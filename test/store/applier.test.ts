import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import { createControlTail } from '../../store/applier.ts';
import { openIdentities } from '../../store/identities.ts';
import { controlDatabase } from '../../store/provisioning/collections.ts';
import { findToken } from '../../store/tokens.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { event } from '../trail/events.ts';
import {
  agent,
  connector,
  grant,
  identify,
  mapping,
  person,
  policies,
  prompt,
  token,
  yesterday,
  type Recorded,
} from './changes.ts';
import { controlEvent, openTestControl, type TestControl } from './control.ts';

let control: TestControl;
beforeEach(async () => {
  control = await openTestControl();
});
afterEach(() => control.close());

const given = async (...recorded: Recorded[]): Promise<void> => {
  for (const [change, part] of recorded) await control.change(change, part);
  expect(control.voids).toEqual([]);
};

const principalOf = (c: TestControl, id: string, system: 'slack' | 'gmail' | 'salesforce' = 'slack') =>
  openIdentities(c.database.clients.reader, c.instance, c.secrets).principalOf({ system, kind: 'user', id });

const setEpoch = async (epoch: number): Promise<void> => {
  const instances = control.database.admin.db(controlDatabase).collection<{ _id: string }>('instances');
  await instances.updateOne({ _id: `${control.instance}/control` }, { $set: { epoch } });
};

interface Row {
  readonly given?: (control: TestControl) => Recorded[] | Promise<Recorded[]>;
  readonly when: (control: TestControl) => Recorded | Promise<Recorded>;
  readonly holds: (control: TestControl, index: number) => Promise<void>;
}

const inForce = async (version: string, index: number) =>
  expect(await control.state.versionInForce('mapping', 'contacts')).toMatchObject({ version, index });

const table: Record<string, Row> = {
  'principal.register names a principal': {
    given: () => [person('omar', ['operator'])],
    when: () => agent('bot', { owner: 'omar', declared: [{ system: 'slack', actions: ['message.send'] }] }),
    holds: async ({ state }, index) =>
      expect(await state.principal('bot')).toEqual({
        principal: 'bot',
        kind: 'agent',
        roles: ['agent'],
        owner: 'omar',
        declared: [{ system: 'slack', actions: ['message.send'] }],
        disabled: false,
        index,
      }),
  },
  'principal.register again replaces roles and enables': {
    given: () => [person('omar', ['operator', 'admin']), [{ change: 'principal.disable', principal: 'omar' }]],
    when: () => person('omar', ['auditor']),
    holds: async ({ state }) =>
      expect(await state.principal('omar')).toMatchObject({ roles: ['auditor'], disabled: false }),
  },
  'principal.disable disables': {
    given: () => [person('omar', ['operator'])],
    when: () => [{ change: 'principal.disable', principal: 'omar' }],
    holds: async ({ state }, index) => expect(await state.principal('omar')).toMatchObject({ disabled: true, index }),
  },
  'identity.map says who somebody is in another system, and keeps the id out of the control state': {
    given: () => [person('dana')],
    when: () => identify('identity.map', 'dana', 'U0CANARY'),
    holds: async (c) => {
      expect(await principalOf(c, 'U0CANARY')).toBe('dana');
      expect(await principalOf(c, 'U0CANARX')).toBeUndefined();
      expect(await principalOf(c, 'U0CANARY', 'gmail')).toBeUndefined();
      expect(JSON.stringify(await c.dump())).not.toContain('U0CANARY');
    },
  },
  'identity.map gives a principal many identities': {
    given: () => [person('dana'), identify('identity.map', 'dana', 'U0DANA')],
    when: () => identify('identity.map', 'dana', 'U1DANA'),
    holds: async (c) => {
      expect([await principalOf(c, 'U0DANA'), await principalOf(c, 'U1DANA')]).toEqual(['dana', 'dana']);
    },
  },
  "identity.unmap makes an identity nobody's": {
    given: () => [person('dana'), identify('identity.map', 'dana', 'U0DANA')],
    when: () => identify('identity.unmap', 'dana', 'U0DANA'),
    holds: async (c) => expect(await principalOf(c, 'U0DANA')).toBeUndefined(),
  },
  'identity.map takes what was unmapped, for another principal': {
    given: () => [
      person('dana'),
      person('omar'),
      identify('identity.map', 'dana', 'U0DANA'),
      identify('identity.unmap', 'dana', 'U0DANA'),
    ],
    when: () => identify('identity.map', 'omar', 'U0DANA'),
    holds: async (c) => expect(await principalOf(c, 'U0DANA')).toBe('omar'),
  },
  'identity.map knows a mail address in capitals, and a Salesforce id of either length': {
    given: () => [person('dana'), identify('identity.map', 'dana', 'Dana@Acme.example', 'gmail')],
    when: () => identify('identity.map', 'dana', '005D000000015Uq', 'salesforce'),
    holds: async (c) => {
      expect(await principalOf(c, 'dana@acme.EXAMPLE', 'gmail')).toBe('dana');
      expect(await principalOf(c, '005D000000015UqIAI', 'salesforce')).toBe('dana');
    },
  },
  'token.issue keeps the digest': {
    given: () => [person('omar', ['operator'])],
    when: (c) => token(c, 'omar_1', 'omar', 'operator').issue,
    holds: async ({ database, instance }, index) =>
      expect(await findToken(database.clients.reader, instance, 'omar_1')).toMatchObject({ revoked: false, index }),
  },
  'token.revoke revokes': {
    given: (c) => [person('omar', ['operator']), token(c, 'omar', 'omar', 'operator').issue],
    when: () => [{ change: 'token.revoke', token: 'omar' }],
    holds: async ({ database, instance }) =>
      expect(await findToken(database.clients.reader, instance, 'omar')).toMatchObject({ revoked: true }),
  },
  'delegation.grant lets one act for another until it expires': {
    given: () => [person('dana'), agent('bot')],
    when: () => grant('d1', 'dana', 'bot'),
    holds: async ({ state }, index) => {
      expect(await state.delegation('dana', 'bot', new Date())).toMatchObject({ delegation: 'd1', index });
      expect(await state.delegation('dana', 'bot', new Date(Date.now() + 2 * 86_400_000))).toBeUndefined();
      expect(await state.delegation('bot', 'dana', new Date())).toBeUndefined();
    },
  },
  'delegation.revoke ends it, and leaves another between the two': {
    given: () => [person('dana'), agent('bot'), grant('d1', 'dana', 'bot'), grant('d2', 'dana', 'bot')],
    when: () => [{ change: 'delegation.revoke', delegation: 'd2' }],
    holds: async ({ state }) =>
      expect(await state.delegation('dana', 'bot', new Date())).toMatchObject({ delegation: 'd1' }),
  },
  'policy.publish brings a set into force': {
    given: () => [policies(1, defaultPolicies)],
    when: () => policies(2, '@id("all") permit(principal, action, resource);'),
    holds: async ({ state }, index) =>
      expect(await state.policySet()).toMatchObject({ name: 'default', version: 2, index }),
  },
  'policy.publish of an earlier version brings it back': {
    given: () => [policies(1, defaultPolicies), policies(2, '@id("all") permit(principal, action, resource);')],
    when: () => policies(1, defaultPolicies),
    holds: async ({ state }, index) => expect(await state.policySet()).toMatchObject({ version: 1, index }),
  },
  'version.publish brings a mapping into force': {
    given: () => [mapping('3', { phone: 'Phone' })],
    when: () => mapping('4', { phone: 'MobilePhone' }),
    holds: async ({ state }, index) => {
      await inForce('4', index);
      expect((await state.version('mapping', 'contacts', '3'))?.content).toEqual({ fields: { phone: 'Phone' } });
    },
  },
  'version.publish goes by log index, not by version number': {
    given: () => [mapping('4', { phone: 'MobilePhone' })],
    when: () => mapping('3', { phone: 'Phone' }),
    holds: (_c, index) => inForce('3', index),
  },
  'version.publish keeps what a prompt says out of the control state': {
    given: () => [agent('bot')],
    when: () => prompt('bot', '1', 'canary-of-a-prompt'),
    holds: async (c, index) => {
      expect(await c.state.versionInForce('prompt', 'bot')).toMatchObject({ agent: 'bot', version: '1', index });
      expect(JSON.stringify(await c.dump())).not.toContain('canary-of-a-prompt');
    },
  },
  'connector.configure activates the staged credential': {
    when: (c) => connector(c, { accessToken: 'secret-1' }, { baseUrl: 'https://crm.example/base' }),
    holds: async ({ state }, index) =>
      expect(await state.connector('salesforce')).toMatchObject({
        credential: 'crm',
        credentialVersion: 1,
        principals: ['bot'],
        baseUrl: 'https://crm.example/base',
        disabled: false,
        index,
      }),
  },
  'connector.disable disables it': {
    given: async (c) => [await connector(c, { accessToken: 'secret-1' })],
    when: () => [{ change: 'connector.disable', system: 'salesforce', credential: 'crm' }],
    holds: async ({ state }) => expect(await state.connector('salesforce')).toMatchObject({ disabled: true }),
  },
  'instance.suspend sets the kill flag': {
    when: () => [{ change: 'instance.suspend' }],
    holds: async ({ state }) => expect(await state.suspended()).toBe(true),
  },
  'instance.resume takes it away': {
    given: () => [[{ change: 'instance.suspend' }]],
    when: () => [{ change: 'instance.resume' }],
    holds: async ({ state }) => expect(await state.suspended()).toBe(false),
  },
};

describe('each control change', () => {
  it.each(Object.entries(table))('%s; applied again, also after a crash, nothing changes', async (_name, row) => {
    await given(...((await row.given?.(control)) ?? []));
    const [change, part] = await row.when(control);
    const index = await control.change(change, part);
    expect(control.voids).toEqual([]);
    await row.holds(control, index);
    expect((await control.state.applied()).epoch).toBe(index);
    const after = await control.dump();
    await control.apply(0);
    expect(await control.dump()).toEqual(after);
    // As if the process had died after the effect, before the epoch moved.
    await setEpoch(index - 1);
    await control.apply(0);
    expect(await control.dump()).toEqual(after);
    expect(control.voids).toEqual([]);
  });
});

describe('what is not applied', () => {
  it('an entry that is only reported, whatever it says', async () => {
    const reported = event({ action: 'message.send', control: { change: 'instance.suspend' } });
    await control.trail.writer.append([reported, controlEvent({ change: 'instance.suspend' })], 'reported');
    await control.apply(0);
    expect(await control.state.suspended()).toBe(false);
    expect(await control.state.applied()).toMatchObject({ epoch: -1 });
  });

  it('a change that was denied', async () => {
    const index = await control.record({ change: 'instance.suspend' }, undefined, { outcome: 'denied' });
    await control.apply(0);
    expect(await control.state.suspended()).toBe(false);
    expect((await control.state.applied()).epoch).toBe(index);
    expect(control.voids).toEqual([]);
  });

  it('an entry whose action is not what it describes', async () => {
    const index = await control.record({ change: 'instance.suspend' }, undefined, { action: 'instance.resume' });
    await control.apply(0);
    expect(control.voids).toMatchObject([{ index, reason: { code: 'INVALID_REQUEST' } }]);
  });
});

describe('order', () => {
  it('is the order of the log, in one batch or entry by entry', async () => {
    await control.record(...person('omar', ['operator']));
    await control.record(...token(control, 'omar', 'omar', 'operator').issue);
    await control.record({ change: 'instance.suspend' });
    await control.record({ change: 'instance.resume' });
    await control.record({ change: 'instance.suspend' });
    const last = await control.record({ change: 'principal.disable', principal: 'omar' });
    await control.apply(0);
    expect(control.voids).toEqual([]);
    expect(await control.state.suspended()).toBe(true);
    expect(await control.state.principal('omar')).toMatchObject({ disabled: true, index: last });
  });

  it('a crash before an effect is made good', async () => {
    await control.change(...person('omar', ['operator']));
    await control.record({ change: 'instance.suspend' });
    const failing = createControlTail(control.database.clients.reader, control.keys, () => Promise.resolve());
    await expect(failing.apply(await control.batch(0))).rejects.toThrow(/not authorized/i);
    expect(await control.state.suspended()).toBe(false);
    await control.apply(0);
    expect(await control.state.suspended()).toBe(true);
  });

  it('an applier that was overtaken does nothing more', async () => {
    await control.record({ change: 'instance.suspend' });
    const early = await control.batch(0);
    await control.record({ change: 'instance.resume' });
    await control.apply(0);
    await control.tail.apply(early);
    expect(await control.state.suspended()).toBe(false);
  });

  it('an applier that was overtaken while it looked drops its plan', async () => {
    const index = await control.record(...prompt('bot', '1', 'x'));
    const early = await control.batch(0);
    const gate = Promise.withResolvers<void>();
    const looking = Promise.withResolvers<void>();
    const { keys } = control;
    const slowKeys: KeyProvider = {
      kind: keys.kind,
      master: keys.master,
      createEpoch: (instance, epoch) => keys.createEpoch(instance, epoch),
      forget: (reference) => keys.forget(reference),
      destroy: (reference) => keys.destroy(reference),
      async unlock(reference) {
        looking.resolve();
        await gate.promise;
        return keys.unlock(reference);
      },
    };
    const slow = createControlTail(control.database.clients.applier, slowKeys, () => Promise.resolve());
    const slowly = slow.apply(early);
    await looking.promise;
    // Meanwhile another finds the prompt void, since its agent is not registered, and then the agent is.
    await control.apply(0);
    await control.change(...agent('bot'));
    expect(control.voids).toMatchObject([{ index }]);
    gate.resolve();
    await slowly;
    expect(await control.state.versionInForce('prompt', 'bot')).toBeUndefined();
  });
});

describe('as a tail', () => {
  it('follows the log, and readers can wait for it', async () => {
    control.follow();
    await control.record(...person('dana'));
    const index = await control.record({ change: 'instance.suspend' });
    await control.state.waitApplied(index, 30_000);
    expect(await control.state.suspended()).toBe(true);
    // What is no control entry is waited for by the cursor.
    const [result] = await control.trail.writer.append([event()], 'platform');
    if (result?.status !== 'accepted') throw new Error('not accepted');
    await control.state.waitApplied(result.receipt.index, 30_000);
    expect((await control.state.applied()).epoch).toBe(index);
  });

  it('a reader who waits in vain is told, and may try again', async () => {
    const index = await control.record({ change: 'instance.suspend' });
    await expect(control.state.waitApplied(index, 20)).rejects.toMatchObject({
      code: 'TRAIL_UNAVAILABLE',
      retryable: true,
    });
  });

  it('a delegation that has expired is not in force', async () => {
    await given(person('dana'), agent('bot'), grant('d1', 'dana', 'bot', yesterday()));
    expect(await control.state.delegation('dana', 'bot', new Date())).toBeUndefined();
  });
});
