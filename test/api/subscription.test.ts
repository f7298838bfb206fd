import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { emitterOf } from '../trail/events.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi({ limits: { subscriptionsPerPrincipalMax: 2 } });
});
afterAll(() => api.close());

interface Stream {
  readonly status: number;
  /** The next event of the subscription; undefined once it is complete. */
  // oxlint-disable-next-line typescript/no-explicit-any -- answers of many shapes
  next(): Promise<any>;
  stop(): void;
}

const open = async (query: string, variables: object, role: 'auditor' | 'admin' = 'auditor'): Promise<Stream> => {
  const controller = new AbortController();
  const response = await api.fetch(
    '/graphql',
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query, variables }),
      signal: controller.signal,
    },
    role,
  );
  const decoder = new TextDecoder();
  const chunks = response.body![Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let text = '';
  return {
    status: response.status,
    stop: () => controller.abort(),
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end < 0) {
          const { done, value } = await chunks.next();
          if (done) return undefined;
          text += decoder.decode(value, { stream: true });
          continue;
        }
        const message = text.slice(0, end);
        text = text.slice(end + 2);
        const data = /^event: next\ndata: (.*)$/m.exec(message)?.[1];
        if (data !== undefined) return JSON.parse(data);
        if (message.startsWith('event: complete')) return undefined;
      }
    },
  };
};

const live = `subscription ($c: CorrelationId!, $after: String) {
  events(filter: {correlationId: $c}, after: $after) { cursor node { id index parts { content } } }
}`;
const bare = `subscription ($c: CorrelationId!, $after: String) {
  events(filter: {correlationId: $c}, after: $after) { cursor node { id } }
}`;

const recordedReads = async (principal: string) => {
  const { reader } = api.trails.acme;
  await reader.fresh(5000);
  const found = await reader.find({ action: 'trail.read', principal }, { limit: 1000 });
  const opened = await reader.withParts(found, () => true);
  return opened.map(({ entry, parts }) => {
    const part = parts?.['query'];
    const content = part?.state === 'present' ? (part.content as { reads: string }) : { reads: '' };
    return { reads: content.reads, count: entry.count };
  });
};

const chain = () => {
  const correlationId = randomBytes(16).toString('hex');
  const next = emitterOf(`live-${correlationId}`);
  return {
    correlationId,
    append: async (n: number) => {
      const events = Array.from({ length: n }, () => next({ correlationId }));
      await api.trails.acme.writer.append(events, 'platform');
      return events.map(({ id }) => id);
    },
  };
};

describe('the live subscription', () => {
  it('brings what is appended, in order, and records its opening and its closing', async () => {
    const { correlationId, append } = chain();
    const before = (await recordedReads('akira')).length;
    const stream = await open(live, { c: correlationId });
    expect(stream.status).toBe(200);
    expect((await recordedReads('akira')).slice(before)).toEqual([{ reads: 'subscription-opened', count: 0 }]);
    const ids = [...(await append(3)), ...(await append(2))];
    const seen: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      const { data, errors } = await stream.next();
      expect(errors).toBeUndefined();
      expect(data.events.node.parts[0].content).toEqual({ Phone: '+49 30 1234567' });
      seen.push(data.events.node.id);
    }
    expect(seen).toEqual(ids);
    stream.stop();
    await vi.waitFor(
      async () =>
        expect((await recordedReads('akira')).slice(before)).toEqual([
          { reads: 'subscription-opened', count: 0 },
          { reads: 'subscription-closed', count: 5 },
        ]),
      { timeout: 20_000, interval: 50 },
    );
  });

  it('goes on after the last cursor without a gap and without a repetition', async () => {
    const { correlationId, append } = chain();
    const stream = await open(bare, { c: correlationId });
    const first = await append(2);
    await stream.next();
    const { data } = await stream.next();
    stream.stop();
    const missed = await append(3);
    const again = await open(bare, { c: correlationId, after: data.events.cursor });
    const seen = [];
    for (let i = 0; i < 3; i += 1) seen.push((await again.next()).data.events.node.id);
    expect(seen).toEqual(missed);
    expect(first).toContain(data.events.node.id);
    again.stop();
  });

  it('withholds content from a role that does not see it', async () => {
    const { correlationId, append } = chain();
    const stream = await open(live, { c: correlationId }, 'admin');
    await append(1);
    expect((await stream.next()).data.events.node.parts).toEqual([{ content: null }]);
    stream.stop();
    expect((await recordedReads('ines')).map(({ reads }) => reads)).not.toContain('subscription-opened');
  });

  it('is refused where it is one too many', async () => {
    await vi.waitFor(async () => expect((await api.metrics.subscriptions.get()).values[0]?.value).toBe(0));
    const { correlationId } = chain();
    const streams = [];
    let refused: { errors: { extensions: { code: string; retryable: boolean } }[] } | undefined;
    for (let i = 0; i < 3; i += 1) {
      const stream = await open(bare, { c: correlationId }, 'admin');
      streams.push(stream);
      if (i === 2) refused = await stream.next();
    }
    expect(refused?.errors[0]?.extensions).toEqual({ code: 'QUEUE_FULL', retryable: true });
    for (const stream of streams) stream.stop();
  });

  it('ends, and is recorded as closed, when the process stops', async () => {
    const other = await openTestApi();
    try {
      const response = await other.fetch('/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body: JSON.stringify({ query: live, variables: { c: 'a'.repeat(32) } }),
      });
      expect(response.status).toBe(200);
      await other.api.stop();
      expect(await response.text()).toContain('event: complete');
      const { reader } = other.trails.acme;
      await reader.fresh(5000);
      expect(await reader.find({ action: 'trail.read', principal: 'akira' }, { limit: 10 })).toHaveLength(2);
    } finally {
      await other.close();
    }
  });
});
