import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const record = `mutation ($events: [JSONObject!]!) {
  recordEvents(events: $events) { status receipt { id index leafHash checkpoint } refusal { code message } }
}`;

let emitters = 0;
/** Events of one emitter of its own, as an agent's runtime reports them. */
const runtime = () => {
  const id = `runtime-${(emitters += 1)}`;
  let sequence = 0;
  return (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
    id: uuidv7(),
    correlationId: randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    emitter: { id, sequence: (sequence += 1) },
    eventTime: new Date().toISOString(),
    actor: { principal: 'sales-agent', kind: 'agent' },
    action: 'tool.call',
    phase: 'observation',
    system: 'agent',
    ...changes,
  });
};

const send = async (events: readonly unknown[]) => api.ask(record, { events }, 'agent');
const canary = 'words-that-must-not-come-back';

describe('recordEvents', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['an unknown field', { nonsense: canary }, 'BAD_INPUT'],
    ['a wrong type', { emitter: 'x' }, 'BAD_INPUT'],
    ['no id', { id: undefined }, 'BAD_INPUT'],
    ['an id that is no UUIDv7', { id: '7c1d2a0e-1f7e-4c5b-9d5e-0242ac120002' }, 'BAD_INPUT'],
    ['an id from before the horizon', { id: '01800000-0000-7000-8000-000000000000' }, 'ID_TOO_OLD'],
    ['a time without an offset', { eventTime: '2026-11-03T10:00:00' }, 'BAD_INPUT'],
    ['an action that is not in the taxonomy', { action: 'record.obliterate' }, 'BAD_INPUT'],
    ['an action that only the platform may record', { action: 'approval.decide' }, 'BAD_INPUT'],
    ['a control change', { action: 'instance.suspend' }, 'BAD_INPUT'],
    ['a decision of its own', { authorization: { about: 'agent', result: 'allow' } }, 'BAD_INPUT'],
    ['a URL in place of an endpoint template', { endpoint: `https://x.example/${canary}?q=1` }, 'BAD_INPUT'],
    ["another's name", { actor: { principal: 'somebody-else', kind: 'agent' } }, 'FORBIDDEN'],
    ["the platform's emitter", { emitter: { id: 'platform/api/x', sequence: 1 } }, 'FORBIDDEN'],
    [
      'parts that are too large together',
      { parts: [{ name: 'a', content: 'x'.repeat(8_400_000) }] },
      'EVENT_TOO_LARGE',
    ],
    [
      'an entry that is too large',
      {
        fields: Array.from({ length: 256 }, () => 'ä'.repeat(127)),
        parts: Array.from({ length: 32 }, (_, i) => ({ name: `part${i}`, content: 1 })),
      },
      'ENTRY_TOO_LARGE',
    ],
  ])('refuses %s for itself, and takes the others', async (_what, changes, code) => {
    const next = runtime();
    const { data, errors, text } = await send([next(), next(changes), next()]);
    expect(errors).toBeUndefined();
    expect(data.recordEvents.map(({ status }: { status: string }) => status)).toEqual([
      'accepted',
      'refused',
      'accepted',
    ]);
    expect(data.recordEvents[1].refusal.code).toBe(code);
    expect(data.recordEvents[1].receipt).toBeNull();
    expect(text).not.toContain(canary);
  });

  it('refuses what is no object at all, as a whole', async () => {
    const { status, errors } = await send([runtime()(), 'text']);
    expect(status).toBe(400);
    expect(errors?.[0]?.extensions.code).toBe('BAD_INPUT');
  });

  it('answers the same event again with its first receipt, and other content under its id as a conflict', async () => {
    const event = runtime()({ parts: [{ name: 'note', content: 'first' }] });
    const first = (await send([event])).data.recordEvents[0];
    const again = (await send([event])).data.recordEvents[0];
    expect(again.status).toBe('duplicate');
    expect({ ...again.receipt, checkpoint: '' }).toEqual({ ...first.receipt, checkpoint: '' });
    const other = (await send([{ ...event, parts: [{ name: 'note', content: 'second' }] }])).data.recordEvents[0];
    expect(other.refusal.code).toBe('ID_CONFLICT');
  });

  it('refuses a sequence that goes backwards onto another event, and takes one that fills a gap', async () => {
    const next = runtime();
    const events = [next(), next(), next(), next()];
    await send([events[0], events[3]]);
    const back = { ...next(), emitter: events[0]!['emitter'] };
    const { data } = await send([back, events[1], events[2]]);
    expect(data.recordEvents[0].refusal.code).toBe('SEQUENCE_CONFLICT');
    expect(data.recordEvents.slice(1).map(({ status }: { status: string }) => status)).toEqual([
      'accepted',
      'accepted',
    ]);
  });

  it('takes 1,000 events a call, and refuses 1,001 as a whole', async () => {
    const next = runtime();
    const events = Array.from({ length: 1001 }, () => next());
    const refused = await send(events);
    expect(refused.status).toBe(400);
    expect(refused.errors?.[0]?.extensions.code).toBe('BATCH_TOO_LARGE');
    const { data } = await send(events.slice(0, 1000));
    const indexes = data.recordEvents.map(({ receipt }: { receipt: { index: number } }) => receipt.index);
    expect(indexes).toHaveLength(1000);
    expect(indexes).toEqual(indexes.toSorted((a: number, b: number) => a - b));
  });

  it('records what it refused by digest and reason, never by content', async () => {
    await send([runtime()({ parts: [{ name: 'note', content: canary }], nonsense: true })]);
    const { data, text } = await api.ask(
      '{ events(filter: {action: ["input.refuse"]}, last: 1) { edges { node { actor { principal } parts { content } } } } }',
    );
    expect(data.events.edges[0].node.actor.principal).toBe('sales-agent');
    expect(JSON.stringify(data.events.edges[0].node.parts)).toMatch(/"sha256":"[0-9a-f]{64}"/);
    expect(text).not.toContain(canary);
  });
});
