import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allSegments, segmentEntries, segmentsOf } from '../../trail/segments.ts';
import { identify, type Recorded } from '../store/changes.ts';
import { controlEvent } from '../store/control.ts';
import { openTestApi, type Name, type TestApi } from './openApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const record = `mutation ($events: [JSONObject!]!) {
  recordEvents(events: $events) { status receipt { id index } refusal { code message } }
}`;
const recorded = `query ($id: EventId!) {
  event(id: $id) { actor { principal kind } onBehalfOf parts { name content } }
}`;

const slack = (id: string) => ({ external: { system: 'slack', kind: 'user', id } });
const agent = { ...slack('U0SANDBOX'), kind: 'agent' };
const dana = { external: { system: 'gmail', kind: 'user', id: 'dana@sandbox.example' } };

let emitters = 0;
const reported = (changes: Record<string, unknown> = {}) => ({
  id: uuidv7(),
  correlationId: randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
  emitter: { id: `identities-${(emitters += 1)}`, sequence: 1 },
  eventTime: new Date().toISOString(),
  actor: agent,
  action: 'message.send',
  phase: 'observation',
  system: 'slack',
  ...changes,
});

const send = async (as: 'agent' | 'operator', ...events: readonly unknown[]) => {
  const { data } = await api.ask(record, { events }, as);
  return data.recordEvents;
};

const change = async (instance: Name, [control, part]: Recorded): Promise<void> => {
  const [result] = await api.trails[instance].writer.append([controlEvent(control, part)], 'platform');
  if (result?.status !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(result)}`);
  await (await api.services.open(api.ids[instance])).control.waitApplied(result.receipt.index, 30_000);
};

describe('an actor named by an identity of another system', () => {
  it('is recorded as the principal it belongs to; how it was named stays in the encrypted originals', async () => {
    const event = reported({
      onBehalfOf: dana,
      resource: { kind: 'message', id: '1700000000.000100' },
      channel: { kind: 'chat', id: 'C0SALES' },
    });
    expect(await send('agent', event)).toMatchObject([{ status: 'accepted' }]);
    const { data } = await api.ask(recorded, { id: event.id });
    expect(data.event).toMatchObject({ actor: { principal: 'sales-agent', kind: 'agent' }, onBehalfOf: 'dana' });
    expect(data.event.parts).toEqual([
      {
        name: 'originals',
        content: {
          resource: '1700000000.000100',
          channel: 'C0SALES',
          actor: agent.external,
          onBehalfOf: dana.external,
        },
      },
    ]);
  });

  it('stands in no entry', async () => {
    const subjects = [{ system: 'gmail', kind: 'user', id: 'dana@sandbox.example' }];
    const onBehalfOf = { external: { ...dana.external, subject: 0 } };
    expect(await send('agent', reported({ onBehalfOf, subjects }))).toMatchObject([{ status: 'accepted' }]);
    const segments = await segmentsOf(api.database.clients.reader, api.ids.acme).find(allSegments).toArray();
    const log = segments.flatMap((segment) => segmentEntries(segment).map(String)).join('\n');
    expect(log).toContain('"action":"identity.map"');
    for (const original of ['U0SANDBOX', 'U0DANA', 'dana@sandbox.example', '5b10dana', '005Tk0000000003AAA'])
      expect(log).not.toContain(original);
  });

  it('is refused for itself where it belongs to nobody, and the refusal is recorded without it', async () => {
    const nobody = { ...slack('U0NOBODYCANARY'), kind: 'human' };
    const results = await send(
      'operator',
      reported(),
      reported({ actor: nobody }),
      reported({ onBehalfOf: slack('U0NOBODYCANARY') }),
      reported(),
    );
    expect(results).toMatchObject([
      { status: 'accepted' },
      { status: 'refused', receipt: null, refusal: { code: 'IDENTITY_UNKNOWN' } },
      { status: 'refused', receipt: null, refusal: { code: 'IDENTITY_UNKNOWN' } },
      { status: 'accepted' },
    ]);
    const { data, text } = await api.ask(
      '{ events(filter: {action: ["input.refuse"]}, last: 1) { edges { node { actor { principal } parts { content } } } } }',
    );
    expect(data.events.edges[0].node.actor.principal).toBe('omar');
    expect(text).toContain('IDENTITY_UNKNOWN');
    expect(text + JSON.stringify(results)).not.toContain('U0NOBODYCANARY');
  });

  it('is nobody where only another instance has mapped it', async () => {
    await change('globex', identify('identity.map', 'dana', 'U0GLOBEX'));
    const event = reported({ actor: { ...slack('U0GLOBEX'), kind: 'human' } });
    expect(await send('operator', event)).toMatchObject([{ refusal: { code: 'IDENTITY_UNKNOWN' } }]);
    const there = await api.ask(record, { events: [event] }, { instance: 'globex', role: 'operator' });
    expect(there.data.recordEvents).toMatchObject([{ status: 'accepted' }]);
  });

  it('is the caller itself, or refused, unless an operator reports', async () => {
    const other = { ...slack('U0DANA'), kind: 'human' };
    expect(await send('agent', reported(), reported({ actor: other }))).toMatchObject([
      { status: 'accepted' },
      { refusal: { code: 'FORBIDDEN' } },
    ]);
    expect(await send('agent', reported({ actor: { ...agent, kind: 'human' } }))).toMatchObject([
      { refusal: { code: 'FORBIDDEN' } },
    ]);
    expect(await send('operator', reported({ actor: other }))).toMatchObject([{ status: 'accepted' }]);
  });

  it.each<[string, unknown]>([
    ['a principal and an identity', { ...agent, principal: 'sales-agent' }],
    ['neither', { kind: 'agent' }],
    ['an identity of the platform', { external: { system: 'trailkeeper', kind: 'user', id: 'x' }, kind: 'agent' }],
    ['an identity without an id', { external: { system: 'slack', kind: 'user', id: '' }, kind: 'agent' }],
    ['an identity that is no Unicode', { external: { system: 'slack', kind: 'user', id: '\uD800' }, kind: 'agent' }],
  ])('that is %s does not fit the event model', async (_what, actor) => {
    expect(await send('operator', reported({ actor }))).toMatchObject([{ refusal: { code: 'BAD_INPUT' } }]);
  });

  it('can not be told by the emitter once it is resolved', async () => {
    const event = reported({
      actor: { principal: 'sales-agent', kind: 'agent' },
      identities: { actor: dana.external },
    });
    expect(await send('agent', event)).toMatchObject([{ refusal: { code: 'BAD_INPUT' } }]);
  });
});

describe('the same event again', () => {
  it('is a duplicate; with another identity of the same principal it is a conflict', async () => {
    const event = reported();
    const [first] = await send('agent', event);
    expect(await send('agent', event)).toEqual([{ ...first, status: 'duplicate' }]);
    const jira = { external: { system: 'jira', kind: 'user', id: '5b10agent' }, kind: 'agent' };
    expect(await send('agent', { ...event, actor: jira })).toMatchObject([{ refusal: { code: 'ID_CONFLICT' } }]);
    expect(await send('agent', { ...event, actor: { principal: 'sales-agent', kind: 'agent' } })).toMatchObject([
      { refusal: { code: 'ID_CONFLICT' } },
    ]);
  });

  it('is a duplicate after its actor was unmapped, and after it was mapped to another', async () => {
    await change('acme', identify('identity.map', 'dana', 'U0MOVING'));
    const event = reported({ actor: { ...slack('U0MOVING'), kind: 'human' } });
    const [first] = await send('operator', event);
    expect(first.status).toBe('accepted');
    expect(await api.trails.acme.reader.fresh(30_000)).toBe(0);
    await change('acme', identify('identity.unmap', 'dana', 'U0MOVING'));
    const later = reported({ actor: event.actor });
    expect(await send('operator', event, later)).toEqual([
      { ...first, status: 'duplicate' },
      { status: 'refused', receipt: null, refusal: expect.objectContaining({ code: 'IDENTITY_UNKNOWN' }) },
    ]);
    await change('acme', identify('identity.map', 'omar', 'U0MOVING'));
    expect(await send('operator', event, later)).toMatchObject([{ status: 'duplicate' }, { status: 'accepted' }]);
    const { data } = await api.ask(recorded, { id: later.id });
    expect(data.event.actor.principal).toBe('omar');
  });
});
