import { Binary } from 'mongodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import { boxesOf } from '../../trail/boxes.ts';
import { createControlTail } from '../../store/applier.ts';
import { voidEvent } from '../../store/voids.ts';
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
  type Recorded,
} from './changes.ts';
import { openTestControl, type TestControl } from './control.ts';

let control: TestControl;
beforeEach(async () => {
  control = await openTestControl();
});
afterEach(() => control.close());

const given = async (...recorded: readonly Recorded[]): Promise<void> => {
  for (const [change, part] of recorded) await control.change(change, part);
  expect(control.voids).toEqual([]);
};

const voidTable: Record<
  string,
  { given?: Recorded[]; when: (c: TestControl) => Recorded | Promise<Recorded>; code: string }
> = {
  'an owner who is not registered': { when: () => agent('bot', { owner: 'nobody' }), code: 'NOT_FOUND' },
  'a principal of another kind': { given: [person('bot')], when: () => agent('bot'), code: 'CONFLICT' },
  'disabling nobody': { when: () => [{ change: 'principal.disable', principal: 'nobody' }], code: 'NOT_FOUND' },
  'an identity of nobody': { when: () => identify('identity.map', 'nobody', 'U0DANA'), code: 'NOT_FOUND' },
  'an identity that belongs to another': {
    given: [person('dana'), person('omar'), identify('identity.map', 'dana', 'U0DANA')],
    when: () => identify('identity.map', 'omar', 'U0DANA'),
    code: 'CONFLICT',
  },
  'an identity that belongs to another, in another spelling': {
    given: [person('dana'), person('omar'), identify('identity.map', 'dana', 'dana@acme.example', 'gmail')],
    when: () => identify('identity.map', 'omar', 'Dana@acme.example', 'gmail'),
    code: 'CONFLICT',
  },
  'an identity that is not given': {
    given: [person('dana')],
    when: () => [identify('identity.map', 'dana', 'U0DANA')[0]],
    code: 'INVALID_REQUEST',
  },
  'unmapping what is not mapped': {
    given: [person('dana')],
    when: () => identify('identity.unmap', 'dana', 'U0DANA'),
    code: 'NOT_FOUND',
  },
  "unmapping another's identity": {
    given: [person('dana'), person('omar'), identify('identity.map', 'dana', 'U0DANA')],
    when: () => identify('identity.unmap', 'omar', 'U0DANA'),
    code: 'NOT_FOUND',
  },
  'a token for nobody': { when: (c) => token(c, 't', 'nobody', 'auditor').issue, code: 'NOT_FOUND' },
  'a token for a role that the principal lacks': {
    given: [person('omar', ['operator'])],
    when: (c) => token(c, 't', 'omar', 'admin').issue,
    code: 'FORBIDDEN',
  },
  'a token without a digest': {
    given: [person('omar', ['operator'])],
    when: (c) => [token(c, 't', 'omar', 'operator').issue[0]],
    code: 'INVALID_REQUEST',
  },
  'revoking no token': { when: () => [{ change: 'token.revoke', token: 't' }], code: 'NOT_FOUND' },
  'a delegation from nobody': { given: [agent('bot')], when: () => grant('d', 'nobody', 'bot'), code: 'NOT_FOUND' },
  'a delegation by a name that was used': {
    given: [
      person('dana'),
      agent('bot'),
      grant('d', 'dana', 'bot'),
      [{ change: 'delegation.revoke', delegation: 'd' }],
    ],
    when: () => grant('d', 'dana', 'bot'),
    code: 'CONFLICT',
  },
  'policies that are not what the digest says': {
    when: () => policies(1, defaultPolicies, '0'.repeat(64)),
    code: 'INVALID_REQUEST',
  },
  'policies that do not validate': {
    when: () => policies(1, '@id("a") permit(principal, action, resource) when { principal.knid == "x" };'),
    code: 'INVALID_REQUEST',
  },
  'a policy version with another text': {
    given: [policies(1, defaultPolicies)],
    when: () => policies(1, '@id("all") permit(principal, action, resource);'),
    code: 'CONFLICT',
  },
  'content that is not what the digest says': {
    when: () => mapping('3', { phone: 'Phone' }, '0'.repeat(64)),
    code: 'INVALID_REQUEST',
  },
  'a version with other content': {
    given: [mapping('3', { phone: 'Phone' })],
    when: () => mapping('3', { phone: 'MobilePhone' }),
    code: 'CONFLICT',
  },
  'a prompt for nobody': { when: () => prompt('bot', '1', 'x'), code: 'NOT_FOUND' },
  'a credential that is not staged': {
    when: () => [
      {
        change: 'connector.configure',
        system: 'slack',
        credential: 'chat',
        credentialVersion: 1,
        principals: ['bot'],
      },
      { name: 'connection', content: { baseUrl: 'http://127.0.0.1:9', sealed: '0'.repeat(64) } },
    ],
    code: 'NOT_FOUND',
  },
  'another credential than the one that was staged': {
    when: (c) => connector(c, { accessToken: 'x' }, { sealed: '0'.repeat(64) }),
    code: 'CONFLICT',
  },
  'disabling no connector': {
    when: () => [{ change: 'connector.disable', system: 'jira', credential: 'x' }],
    code: 'NOT_FOUND',
  },
};

describe('an entry that can not apply', () => {
  it.each(Object.entries(voidTable))('%s: is void, alarms and changes nothing', async (_name, row) => {
    await given(...(row.given ?? []));
    const before = await control.dump();
    const [change, part] = await row.when(control);
    const staged = (await control.dump())['connectors'];
    const index = await control.change(change, part);
    expect(control.voids).toMatchObject([{ index, reason: { code: row.code } }]);
    expect(await control.state.voidReason(index)).toMatchObject({ code: row.code });
    const { instances: _switch, connectors, ...after } = await control.dump();
    const { instances: _before, connectors: _staged, ...same } = before;
    expect({ ...after, connectors }).toEqual({ ...same, connectors: staged });
    // The void stands in the log, caused by the entry.
    const { entries } = await control.batch(index);
    const recorded = entries.filter(({ entry }) => entry.action === 'control.void');
    expect(recorded.map(({ entry }) => entry.causedBy)).toEqual([entries[0]!.entry.id]);
    expect(recorded[0]!.entry).toMatchObject({ outcome: 'failure', error: { code: row.code }, provenance: 'platform' });
    // Those that follow are applied.
    await control.change({ change: 'instance.suspend' });
    expect(await control.state.suspended()).toBe(true);
  });

  it('is recorded once, however often the applier comes to it', async () => {
    const index = await control.record({ change: 'token.revoke', token: 'none' });
    const entry = (await control.batch(index)).entries[0]!.entry;
    await control.trail.writer.append(
      [
        voidEvent({
          instance: control.instance,
          index,
          entry,
          reason: { code: 'NOT_FOUND', message: 'there is no token none; nothing to revoke' },
        }),
      ],
      'platform',
    );
    await control.apply(0);
    const { entries } = await control.batch(0);
    expect(entries.filter((e) => e.entry.action === 'control.void')).toHaveLength(1);
    expect(control.voids).toHaveLength(1);
  });

  it('holds up those that follow while its void can not be recorded', async () => {
    await control.record({ change: 'token.revoke', token: 'none' });
    await control.record({ change: 'instance.suspend' });
    const { applier } = control.database.clients;
    const failing = createControlTail(applier, control.keys, () => Promise.reject(new Error('the trail is away')));
    await expect(failing.apply(await control.batch(0))).rejects.toThrow('the trail is away');
    expect(await control.state.suspended()).toBe(false);
    await control.apply(0);
    expect(await control.state.suspended()).toBe(true);
  });

  it('is also one whose part was altered in the database', async () => {
    const index = await control.record(...policies(1, defaultPolicies));
    const documents = boxesOf(control.database.admin, control.instance);
    const document = (await documents.findOne({ boxes: { $type: 'binData' } }))!;
    const boxes = Buffer.from(document.boxes.buffer);
    boxes[0]! ^= 1;
    await documents.updateOne({ _id: document._id }, { $set: { boxes: new Binary(boxes) } });
    await control.apply(index);
    expect(control.voids).toMatchObject([{ index, reason: { code: 'MALFORMED_RESPONSE' } }]);
    expect(await control.state.policySet()).toBeUndefined();
  });
});
