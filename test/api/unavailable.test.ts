import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { openTestApi, type TestApi } from './openApi.ts';
import { startProxy, type Proxy } from './proxy.ts';

let api: TestApi;
let proxy: Proxy;
/** Names the API's own connections, so that only they are made to fail. */
const appName = `away-${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  proxy = await startProxy(inject('temporalAddress'));
  api = await openTestApi({
    connect: (uri) => new MongoClient(uri, { appName, serverSelectionTimeoutMS: 2000 }),
    temporalAddress: proxy.address,
  });
  await api.ask('{ gaps { behind } }');
});
afterAll(async () => {
  await api.close();
  await proxy.cut();
});

const failing = async (failCommands: readonly string[], work: () => Promise<void>) => {
  const admin = api.database.admin.db('admin');
  await admin.command({
    configureFailPoint: 'failCommand',
    mode: 'alwaysOn',
    data: { failCommands, closeConnection: true, appName },
  });
  try {
    await work();
  } finally {
    await admin.command({ configureFailPoint: 'failCommand', mode: 'off' });
  }
};

const openRun = `mutation ($input: OpenRunInput!) { openRun(input: $input) { runId correlationId state } }`;
const record = `mutation ($events: [JSONObject!]!) {
  recordEvents(events: $events) { status receipt { index } refusal { code } }
}`;

const observed = (sequence: number) => ({
  id: uuidv7(),
  correlationId: randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
  emitter: { id: `away-${appName}`, sequence },
  eventTime: new Date().toISOString(),
  actor: { principal: 'sales-agent', kind: 'agent' },
  action: 'tool.call',
  phase: 'observation',
  system: 'agent',
});

describe('MongoDB away', () => {
  it('is a coded, retryable error of reads, and over when MongoDB is back', async () => {
    await failing(['find', 'aggregate', 'ping'], async () => {
      const { status, errors, headers } = await api.ask('{ gaps { behind } }');
      expect(status).toBe(503);
      expect(errors?.[0]?.extensions).toEqual({ code: 'TRAIL_UNAVAILABLE', retryable: true });
      expect(headers.get('retry-after')).toBe('1');
      expect((await api.fetch('/readyz')).status).toBe(503);
      expect((await api.fetch('/healthz')).status).toBe(200);
    });
    expect((await api.ask('{ gaps { behind } }')).status).toBe(200);
    expect((await api.fetch('/readyz')).status).toBe(200);
  });

  it('leaves nothing half done: the same events again are accepted or known', async () => {
    const events = [observed(1), observed(2), observed(3)];
    await failing(['insert'], async () => {
      const { status, errors } = await api.ask(record, { events }, 'agent');
      expect(status).toBe(503);
      expect(errors?.[0]?.extensions).toEqual({ code: 'TRAIL_UNAVAILABLE', retryable: true });
    });
    const again = await api.ask(record, { events }, 'agent');
    expect(again.errors).toBeUndefined();
    const indexes = again.data.recordEvents.map(({ receipt }: { receipt: { index: number } }) => receipt.index);
    const third = await api.ask(record, { events }, 'agent');
    expect(third.data.recordEvents).toEqual(
      indexes.map((index: number) => ({ status: 'duplicate', receipt: { index }, refusal: null })),
    );
  });
});

describe('Temporal away', () => {
  it('is a coded, retryable error, and the same call with the same id completes what was begun', async () => {
    const input = { id: uuidv7(), purpose: 'while-temporal-is-away' };
    await proxy.cut();
    const refused = await api.ask(openRun, { input }, 'agent');
    expect(refused.status).toBe(503);
    expect(refused.errors?.[0]?.extensions).toEqual({ code: 'WORKFLOWS_UNAVAILABLE', retryable: true });
    // Reading goes on, and the process is ready.
    expect((await api.ask('{ gaps { behind } }')).status).toBe(200);
    const ready = await api.fetch('/readyz');
    expect({ status: ready.status, body: await ready.json() }).toEqual({
      status: 200,
      body: { ready: true, mongodb: 'ok', temporal: 'away' },
    });
    await proxy.mend();
    await vi.waitFor(
      async () => {
        const { data } = await api.ask(openRun, { input }, 'agent');
        expect(data.openRun).toMatchObject({ runId: input.id, state: 'OPEN' });
      },
      { timeout: 60_000, interval: 250 },
    );
    const { data } = await api.ask(
      `query ($id: RunId!) { events(filter: {runId: $id}) { edges { node { action } } } }`,
      { id: input.id },
    );
    expect(data.events.edges).toEqual([{ node: { action: 'run.open' } }]);
  });
});

describe('health and metrics', () => {
  it('need no token, and say nothing about an instance', async () => {
    const response = await api.fetch('/metrics', {}, 'nobody');
    const text = await response.text();
    expect(response.status).toBe(200);
    for (const name of [
      'trailkeeper_http_request_seconds_count',
      'trailkeeper_append_seconds_count',
      'trailkeeper_append_events_waiting',
      'trailkeeper_index_behind_entries',
      'trailkeeper_counted_reads_total',
      'trailkeeper_errors_total',
      'trailkeeper_subscriptions',
    ])
      expect(text).toContain(name);
    for (const secret of [...Object.values(api.ids), 'sales-agent', 'akira']) expect(text).not.toContain(secret);
    expect(await (await api.fetch('/healthz', {}, 'nobody')).json()).toEqual({ status: 'ok' });
  });
});
