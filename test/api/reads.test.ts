import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Role } from '../../schema/control.ts';
import { TrailError } from '../../trail/errors.ts';
import { MinuteTally } from '../../api/reads/minuteTally.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
const canary = 'content-that-only-some-may-see';
const correlationId = randomBytes(16).toString('hex');

beforeAll(async () => {
  api = await openTestApi();
  const next = emitterOf(`reads-${correlationId}`);
  const events = Array.from({ length: 4 }, () =>
    next({ correlationId, parts: [{ name: 'after', content: { Phone: canary } }] }),
  );
  await api.trails.acme.writer.append(events, 'platform');
});
afterAll(() => api.close());

// Each test begins in a minute of its own.
beforeEach(async () => {
  api.advance(60_000);
  await api.api.sweep();
});

const withPayload = `query ($c: CorrelationId!) {
  events(filter: {correlationId: $c}) { edges { node { index parts { name state content sizeBytes } } } }
}`;
const skeletons = `query ($c: CorrelationId!) { events(filter: {correlationId: $c}) { edges { node { index } } } }`;

interface Read {
  readonly index: number;
  readonly count: number;
  readonly principal: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- the part's shape differs by kind of read
  readonly query: any;
}

/** Reads that were recorded, straight from the log. */
const reads = async (principal: string): Promise<Read[]> => {
  const { reader } = api.trails.acme;
  await reader.fresh(5000);
  const found = await reader.find({ action: 'trail.read', principal }, { limit: 1000 });
  const opened = await reader.withParts(found, () => true);
  return opened.map(({ index, entry, parts }) => {
    const part = parts?.['query'];
    return {
      index,
      count: entry.count ?? 0,
      principal: entry.actor.principal,
      query: part?.state === 'present' ? part.content : undefined,
    };
  });
};

describe('reading payloads', () => {
  it('is recorded, one event a request, and stands in the log when the answer is there', async () => {
    const before = await reads('akira');
    const { data } = await api.ask(withPayload, { c: correlationId });
    expect(data.events.edges.map(({ node }: { node: { parts: object[] } }) => node.parts[0])).toEqual(
      Array.from({ length: 4 }, () => expect.objectContaining({ state: 'present', content: { Phone: canary } })),
    );
    const after = await reads('akira');
    const added = after.slice(before.length);
    expect(added).toEqual([
      {
        index: expect.any(Number),
        count: 4,
        principal: 'akira',
        query: {
          reads: 'payloads',
          entries: 4,
          token: 'auditor',
          query: [{ field: 'events', arguments: { filter: { correlationId } } }],
        },
      },
    ]);
  });

  it('is withheld from roles that may not see it, and then there is nothing to record but the skeletons', async () => {
    for (const [role, principal] of [
      ['admin', 'ines'],
      ['operator', 'omar'],
    ] as [Role, string][]) {
      const { text, data } = await api.ask(withPayload, { c: correlationId }, role);
      expect(text).not.toContain(canary);
      expect(data.events.edges[0].node.parts[0]).toMatchObject({ state: 'withheld', content: null });
      expect((await reads(principal)).map(({ query }) => query.reads)).toEqual(['skeletons']);
    }
  });

  it('shows an approver what is to be approved, and not the entries about control and access', async () => {
    const shown = await api.ask(withPayload, { c: correlationId }, 'approver');
    expect(shown.text).toContain(canary);
    const control = await api.ask(
      '{ events(filter: {action: ["version.publish"]}, first: 5) { edges { node { parts { state content } } } } }',
      {},
      'approver',
    );
    expect(control.data.events.edges.length).toBeGreaterThan(0);
    for (const { node } of control.data.events.edges)
      expect(node.parts).toEqual([{ state: 'withheld', content: null }]);
  });

  it('does not happen where it can not be recorded', async () => {
    const { recorder } = await api.services.open(api.ids.acme);
    const record = recorder.record.bind(recorder);
    recorder.record = () => Promise.reject(new TrailError('TRAIL_UNAVAILABLE', 'the log can not be written now'));
    try {
      const { status, text, errors } = await api.ask(withPayload, { c: correlationId });
      expect(status).toBe(503);
      expect(errors?.[0]?.extensions).toEqual({ code: 'TRAIL_UNAVAILABLE', retryable: true });
      expect(text).not.toContain(canary);
      const first = await api.ask(skeletons, { c: correlationId });
      expect(first.status).toBe(503);
      expect(first.data).toBeNull();
    } finally {
      recorder.record = record;
    }
    expect((await api.ask(withPayload, { c: correlationId })).text).toContain(canary);
  });

  it('refuses to open more payload than one answer holds', async () => {
    const small = await openTestApi({ limits: { payloadBytesMax: 1000 } });
    try {
      const next = emitterOf('large');
      await small.trails.acme.writer.append(
        [next({ correlationId, parts: [{ name: 'after', content: 'x'.repeat(2000) }] })],
        'platform',
      );
      const { errors } = await small.ask(withPayload, { c: correlationId });
      expect(errors?.[0]?.extensions.code).toBe('QUERY_TOO_COSTLY');
    } finally {
      await small.close();
    }
  });
});

describe('reading skeletons', () => {
  it('is recorded at once the first time in a minute, and as a sum when the minute is over', async () => {
    const before = (await reads('carla')).length;
    for (let i = 0; i < 6; i += 1) await api.ask(skeletons, { c: correlationId }, 'compliance');
    const during = (await reads('carla')).slice(before);
    expect(during.map(({ count, query }) => [count, query.requests])).toEqual([[4, 1]]);
    api.advance(60_000);
    await api.api.sweep();
    const after = (await reads('carla')).slice(before);
    expect(after.map(({ count, query }) => [count, query.requests])).toEqual([
      [4, 1],
      [20, 5],
    ]);
  });

  it('is recorded for each principal apart', async () => {
    const before = { rosa: (await reads('rosa')).length, priya: (await reads('priya')).length };
    await api.ask(skeletons, { c: correlationId }, 'responder');
    await api.ask(skeletons, { c: correlationId }, 'approver');
    expect((await reads('rosa')).length).toBe(before.rosa + 1);
    expect((await reads('priya')).length).toBe(before.priya + 1);
  });
});

describe('checkpoints and proofs', () => {
  it('are counted, and not recorded', async () => {
    const before = (await reads('akira')).length;
    const counted = async () => {
      const metric = await api.metrics.registry.getSingleMetric('trailkeeper_counted_reads_total')!.get();
      return Object.fromEntries(metric.values.map(({ labels, value }) => [labels['kind'], value]));
    };
    const { checkpoint = 0, proof = 0 } = await counted();
    await api.ask('{ checkpoint { size } inclusionProof(index: 0) { size } consistencyProof(from: 1) { to } }');
    expect(await counted()).toMatchObject({ checkpoint: checkpoint + 1, proof: proof + 2 });
    expect((await reads('akira')).length).toBe(before);
  });
});

describe('a tally of a minute', () => {
  it('keeps its sum where it can not be recorded, and records it later', async () => {
    let away = false;
    let now = 0;
    const recorded: number[] = [];
    const tally = new MinuteTally<undefined, { n: number }>({
      nowMs: () => now,
      async record(_subject, { n }) {
        if (away) throw new Error('away');
        recorded.push(n);
      },
    });
    await tally.note('a', undefined, { n: 1 });
    await tally.note('a', undefined, { n: 2 });
    await tally.note('a', undefined, { n: 3 });
    now = 60_000;
    away = true;
    await expect(tally.sweep()).rejects.toThrow('away');
    await expect(tally.note('b', undefined, { n: 9 })).rejects.toThrow('away');
    away = false;
    await tally.sweep();
    expect(recorded).toEqual([1, 5]);
  });

  it('lets nobody pass before the first of the minute is recorded', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const tally = new MinuteTally<undefined, { n: number }>({ nowMs: () => 0, record: () => promise });
    const passed: string[] = [];
    const notes = ['first', 'second'].map((name) => tally.note('a', undefined, { n: 1 }).then(() => passed.push(name)));
    await Promise.resolve();
    expect(passed).toEqual([]);
    resolve();
    await Promise.all(notes);
    expect(passed.toSorted()).toEqual(['first', 'second']);
  });
});
