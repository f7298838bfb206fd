import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emitterOf } from '../trail/events.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const page = `query ($filter: EventFilter, $first: Int, $after: String, $last: Int, $before: String) {
  events(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { index id action } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    behind
  }
}`;

const newCorrelation = () => randomBytes(16).toString('hex');

interface Node {
  readonly index: number;
  readonly id: string;
  readonly action: string;
}

/** All pages, forwards. */
const walk = async (filter: object, first: number, between: () => Promise<unknown> = async () => undefined) => {
  const nodes: Node[] = [];
  let after: string | null = null;
  for (;;) {
    const { data, errors } = await api.ask(page, { filter, first, after });
    expect(errors).toBeUndefined();
    nodes.push(...data.events.edges.map(({ node }: { node: Node }) => node));
    if (!data.events.pageInfo.hasNextPage) return nodes;
    after = data.events.pageInfo.endCursor;
    await between();
  }
};

const idsOf = async (filter: object) => (await walk(filter, 50)).map(({ id }) => id);

describe('events', () => {
  it('sees every event that was acknowledged before it was asked', async () => {
    const correlationId = newCorrelation();
    const next = emitterOf(`fresh-${correlationId}`);
    for (let i = 0; i < 5; i += 1) {
      const event = next({ correlationId });
      await api.trails.acme.writer.append([event], 'platform');
      const { data } = await api.ask(page, { filter: { correlationId }, first: 50 });
      expect(data.events.behind).toBe(0);
      expect(data.events.edges.at(-1).node.id).toBe(event.id);
    }
  });

  it('pages in log order, each event once, while others are appended', async () => {
    const correlationId = newCorrelation();
    const next = emitterOf(`pages-${correlationId}`);
    const first = Array.from({ length: 30 }, () => next({ correlationId }));
    await api.trails.acme.writer.append(first, 'platform');
    let added = 0;
    const nodes = await walk({ correlationId }, 7, async () => {
      if (added >= 10) return;
      added += 2;
      await api.trails.acme.writer.append([next({ correlationId }), next({ correlationId })], 'platform');
    });
    expect(nodes.slice(0, 30).map(({ id }) => id)).toEqual(first.map(({ id }) => id));
    expect(nodes).toHaveLength(30 + added);
    expect(new Set(nodes.map(({ id }) => id)).size).toBe(nodes.length);
    expect(nodes.map(({ index }) => index)).toEqual(nodes.map(({ index }) => index).toSorted((a, b) => a - b));
  });

  it('pages backwards from the end', async () => {
    const correlationId = newCorrelation();
    const next = emitterOf(`backwards-${correlationId}`);
    const events = Array.from({ length: 9 }, () => next({ correlationId }));
    await api.trails.acme.writer.append(events, 'platform');
    const last = (await api.ask(page, { filter: { correlationId }, last: 4 })).data.events;
    expect(last.edges.map(({ node }: { node: Node }) => node.id)).toEqual(events.slice(5).map(({ id }) => id));
    expect(last.pageInfo.hasPreviousPage).toBe(true);
    const before = (await api.ask(page, { filter: { correlationId }, last: 100, before: last.pageInfo.startCursor }))
      .data.events;
    expect(before.edges.map(({ node }: { node: Node }) => node.id)).toEqual(events.slice(0, 5).map(({ id }) => id));
    expect(before.pageInfo.hasPreviousPage).toBe(false);
  });

  it('filters by each field, and by all together', async () => {
    const correlationId = newCorrelation();
    const runId = '01890a5d-ac96-774b-bcce-b302099a8057';
    const next = emitterOf(`filters-${correlationId}`);
    const wanted = next({
      correlationId,
      runId,
      sessionId: 'session-9',
      action: 'message.send',
      phase: 'outcome',
      outcome: 'failure',
      system: 'slack',
      error: { code: 'RATE_LIMITED' },
      actor: { principal: 'someone-special', kind: 'agent' },
      eventTime: '2026-10-01T10:00:00.000Z',
      channel: { kind: 'chat', id: 'C0123' },
    });
    await api.trails.acme.writer.append([wanted, next({ correlationId })], 'platform');
    const { data } = await api.ask(`query ($id: EventId!) { event(id: $id) { channel { urn } } }`, { id: wanted.id });
    const filters = [
      { correlationId },
      { runId },
      { sessionId: 'session-9' },
      { principal: 'someone-special' },
      { emitter: `filters-${correlationId}` },
      { action: ['message.send', 'message.update'], correlationId },
      { phase: ['outcome'], outcome: ['failure'], correlationId },
      { system: ['slack'] },
      { error: ['RATE_LIMITED'] },
      { resource: data.event.channel.urn },
      { eventTimeFrom: '2026-10-01T12:00:00+02:00', eventTimeBefore: '2026-10-01T10:00:01Z' },
    ];
    for (const filter of filters)
      expect([filter, await idsOf(filter)]).toEqual([filter, expect.arrayContaining([wanted.id])]);
    const all = Object.assign({}, ...filters) as object;
    expect(await idsOf(all)).toEqual([wanted.id]);
    expect(await walk({ ...all, outcome: ['success'] }, 50)).toEqual([]);
  });

  it('refuses a page that is too large, both ways at once, and what is no cursor', async () => {
    for (const [variables, words] of [
      [{ first: 501 }, '1 to 500'],
      [{ first: 0 }, '1 to 500'],
      [{ first: 1, last: 1 }, 'not both'],
      [{ first: 1, after: 'nonsense' }, 'no cursor'],
    ] as const) {
      const { status, errors } = await api.ask(page, variables);
      expect(status).toBe(400);
      expect(errors?.[0]?.extensions.code).toBe('BAD_INPUT');
      expect(errors?.[0]?.message).toContain(words);
    }
  });

  it('looks at a bounded number of rows where no index helps, and still finds everything by going on', async () => {
    const small = await openTestApi({ limits: { scannedRowsMax: 10 } });
    try {
      const correlationId = newCorrelation();
      const next = emitterOf(`scan-${correlationId}`);
      const events = Array.from({ length: 45 }, (_, i) =>
        next({ correlationId, ...(i % 20 === 0 && { sessionId: 'rare' }) }),
      );
      await small.trails.acme.writer.append(events, 'platform');
      const found: string[] = [];
      let after: string | null = null;
      let empty = 0;
      for (;;) {
        const { data } = await small.ask(page, { filter: { sessionId: 'rare' }, first: 50, after });
        found.push(...data.events.edges.map(({ node }: { node: Node }) => node.id));
        if (data.events.edges.length === 0) empty += 1;
        if (!data.events.pageInfo.hasNextPage) break;
        after = data.events.pageInfo.endCursor;
      }
      expect(found).toEqual([events[0]!.id, events[20]!.id, events[40]!.id]);
      expect(empty).toBeGreaterThan(0);
    } finally {
      await small.close();
    }
  });
});
