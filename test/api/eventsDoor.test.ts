import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventIntake } from '../../api/doors/eventIntake.ts';
import type { EndedLine } from '../../api/doors/eventLine.ts';
import type { Role } from '../../schema/control.ts';
import type { PrincipalId } from '../../schema/ids.ts';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { TrailError } from '../../trail/errors.ts';
import { openTestApi, type TestApi } from './openApi.ts';

const limits = { bulkBytesMax: 3_000_000, bulkLineBytesMax: 100_000, bulkEventsMax: 1500 };
let api: TestApi;
beforeAll(async () => {
  api = await openTestApi({ limits });
});
afterAll(() => api.close());

let emitters = 0;
const runtime = () => {
  const id = `bulk-${(emitters += 1)}`;
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
const many = (count: number) => {
  const next = runtime();
  return Array.from({ length: count }, () => next());
};
const ndjson = (lines: readonly unknown[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

interface Line {
  readonly line: number;
  readonly status: string;
  readonly receipt: { readonly id: string; readonly index: number; readonly checkpoint: string } | null;
  readonly refusal: { readonly code: string; readonly message: string } | null;
}
interface Last {
  readonly summary: Record<'answered' | 'accepted' | 'duplicate' | 'refused', number>;
  readonly error: { readonly code: string; readonly retryable: boolean; readonly message: string } | null;
}

const type = { 'content-type': 'application/x-ndjson' };
const post = (body: BodyInit, headers: Record<string, string> = {}, as: Role | 'nobody' = 'agent') =>
  api.fetch('/v1/events', { method: 'POST', headers: { ...type, ...headers }, body }, as);

const answerOf = (text: string): { lines: Line[]; last: Last } => {
  expect(text.endsWith('\n')).toBe(true);
  const parsed = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  return { last: parsed.pop() as Last, lines: parsed as Line[] };
};
const send = async (body: BodyInit, headers: Record<string, string> = {}) => {
  const response = await post(body, headers);
  expect(response.status).toBe(200);
  return answerOf(await response.text());
};
const codes = (lines: readonly Line[]) => lines.map(({ status, refusal }) => refusal?.code ?? status);

/** A request whose body is written bit by bit, and whose answer is read line by line. */
const open = (): {
  sent: ClientRequest;
  answered: Promise<{ response: IncomingMessage; next: () => Promise<unknown> }>;
} => {
  const sent = httpRequest(`${api.url}/v1/events`, {
    method: 'POST',
    headers: { ...type, authorization: `Bearer ${api.tokens.acme.agent}` },
  });
  const answered = once(sent, 'response').then(([response]: IncomingMessage[]) => {
    const lines = createInterface({ input: response! })[Symbol.asyncIterator]();
    return { response: response!, next: async () => JSON.parse((await lines.next()).value as string) as unknown };
  });
  answered.catch(() => undefined);
  return { sent, answered };
};

const append = async (replaced: (call: number) => Error | undefined) => {
  const { writer } = (await api.services.open(api.ids.acme)).trail;
  const original = writer.append.bind(writer);
  let calls = 0;
  writer.append = async (events, provenance, conditions) => {
    if (provenance !== 'reported') return original(events, provenance, conditions);
    const error = replaced((calls += 1));
    if (error) throw error;
    return original(events, provenance, conditions);
  };
  return () => {
    writer.append = original;
  };
};

describe('POST /v1/events', () => {
  it('answers each line in order, as recordEvents answers each event', async () => {
    const next = runtime();
    const first = next();
    const body = [
      JSON.stringify(first),
      '{"not json',
      JSON.stringify({ ...next(), nonsense: 'canary' }),
      '',
      '[1]',
      JSON.stringify(first),
      JSON.stringify({ ...next(), actor: { principal: 'somebody-else', kind: 'agent' } }),
      JSON.stringify({ ...next(), runId: uuidv7() }),
      JSON.stringify({ ...first, parts: [{ name: 'note', content: 'other' }] }),
      JSON.stringify(next()),
    ];
    const response = await post(`${body.join('\n')}\n`);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
    const text = await response.text();
    expect(text).not.toContain('canary');
    const { lines, last } = answerOf(text);
    expect(codes(lines)).toEqual([
      'accepted',
      'BAD_INPUT',
      'BAD_INPUT',
      'BAD_INPUT',
      'duplicate',
      'FORBIDDEN',
      'BAD_INPUT',
      'ID_CONFLICT',
      'accepted',
    ]);
    expect(lines.map(({ line }) => line)).toEqual([1, 2, 3, 5, 6, 7, 8, 9, 10]);
    expect(lines[4]!.receipt).toMatchObject({ id: first['id'], index: lines[0]!.receipt!.index });
    expect(last).toEqual({ summary: { answered: 9, accepted: 2, duplicate: 1, refused: 6 }, error: null });
    const key = parseVkey(api.trails.acme.vkey);
    const { size } = openCheckpoint(Buffer.from(lines[0]!.receipt!.checkpoint), [key], key.name);
    expect(size).toBeGreaterThan(lines[0]!.receipt!.index);
  });

  it('takes an event that GraphQL took for a repetition, and the other way round', async () => {
    const [event, other] = many(2);
    const mutation = `mutation ($events: [JSONObject!]!) { recordEvents(events: $events) { status receipt { id index leafHash checkpoint } } }`;
    const byGraphQL = (await api.ask(mutation, { events: [event] }, 'agent')).data.recordEvents[0];
    const { lines } = await send(ndjson([event, other]));
    expect(lines.map(({ status }) => status)).toEqual(['duplicate', 'accepted']);
    expect(lines[0]!.receipt).toMatchObject({ id: byGraphQL.receipt.id, leafHash: byGraphQL.receipt.leafHash });
    const again = (await api.ask(mutation, { events: [other] }, 'agent')).data.recordEvents[0];
    expect(again.status).toBe('duplicate');
    expect(again.receipt.index).toBe(lines[1]!.receipt!.index);
  });

  it('keeps the order of the lines in the log over many batches', async () => {
    const events = many(1200);
    const { lines, last } = await send(ndjson(events));
    expect(last.summary).toMatchObject({ answered: 1200, accepted: 1200 });
    expect(lines.map(({ receipt }) => receipt!.id)).toEqual(events.map(({ id }) => id));
    const indexes = lines.map(({ receipt }) => receipt!.index);
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
  });

  it('records what it refuses, by digest', async () => {
    const before = (await api.trails.acme.reader.size()) - 1;
    await send('{"secret words\n');
    await api.trails.acme.reader.fresh(5000);
    const [refused] = await api.trails.acme.reader.find({ action: 'input.refuse' }, { after: before, limit: 1 });
    expect(refused!.entry).toMatchObject({ outcome: 'denied', count: 1, error: { code: 'INPUT_REFUSED' } });
    expect(refused!.bytes.toString()).not.toContain('secret words');
  });

  it.each<[string, Role | 'nobody', number, string]>([
    ['without a token', 'nobody', 401, 'UNAUTHENTICATED'],
    ['under a role that may not report', 'auditor', 403, 'FORBIDDEN'],
  ])('refuses a request %s before it reads the body', async (_how, as, status, code) => {
    const response = await post(ndjson(many(1)), {}, as);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code } }] });
  });

  it("knows runs of its own instance only: another instance's is one that there is not", async () => {
    const opening = `mutation { openRun(input: { purpose: "bulk" }) { runId correlationId } }`;
    const { runId, correlationId } = (await api.ask(opening, {}, { instance: 'globex', role: 'agent' })).data.openRun;
    const next = runtime();
    const { lines } = await send(ndjson([next({ runId, correlationId }), next({ runId: uuidv7() })]));
    expect(codes(lines)).toEqual(['BAD_INPUT', 'BAD_INPUT']);
    expect(lines[0]!.refusal).toEqual(lines[1]!.refusal);
  });

  it('answers a request without events', async () => {
    const { lines, last } = await send('\n\n');
    expect(lines).toEqual([]);
    expect(last).toEqual({ summary: { answered: 0, accepted: 0, duplicate: 0, refused: 0 }, error: null });
  });

  it('takes POST only', async () => {
    const response = await api.fetch('/v1/events', {}, 'agent');
    expect(response.status).toBe(400);
  });
});

describe('the body of POST /v1/events', () => {
  const refusal = async (response: Response) => ({
    status: response.status,
    code: ((await response.json()) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code,
  });

  it('may be gzip', async () => {
    const { lines } = await send(gzipSync(ndjson(many(300))), { 'content-encoding': 'gzip' });
    expect(new Set(codes(lines))).toEqual(new Set(['accepted']));
    expect(lines).toHaveLength(300);
  });

  it.each<[string, () => BodyInit, Record<string, string>, number, string]>([
    ['of another type', () => '{}', { 'content-type': 'application/json' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'of another encoding',
      () => brotliCompressSync('{}\n'),
      { 'content-encoding': 'br' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['that is not the gzip it says', () => '{}\n', { 'content-encoding': 'gzip' }, 400, 'BAD_INPUT'],
    ['that is larger than the limit', () => ' '.repeat(3_000_001), {}, 413, 'BODY_TOO_LARGE'],
    [
      'that gzip blows up',
      () => gzipSync(' '.repeat(2_900_000)),
      { 'content-encoding': 'gzip' },
      413,
      'BODY_TOO_LARGE',
    ],
    ['that begins with an unfinished line', () => '{"id":', {}, 400, 'UNFINISHED_LINE'],
  ])('is refused %s', async (_what, body, headers, status, code) => {
    expect(await refusal(await post(body(), headers))).toEqual({ status, code });
  });

  it('ends with an error where its last line does not end, after what came before is answered', async () => {
    const events = many(3);
    const body = ndjson(events);
    const { lines, last } = await send(body.slice(0, -1));
    expect(codes(lines)).toEqual(['accepted', 'accepted']);
    expect(last.error).toMatchObject({ code: 'UNFINISHED_LINE', retryable: false });
    expect(last.error!.message).toContain('line 3');
    const again = await send(body);
    expect(codes(again.lines)).toEqual(['duplicate', 'duplicate', 'accepted']);
  });

  it('is answered up to where it passes a limit', async () => {
    const events = many(1501);
    const { lines, last } = await send(ndjson(events));
    expect(lines).toHaveLength(1500);
    expect(last).toMatchObject({ summary: { accepted: 1500 }, error: { code: 'BATCH_TOO_LARGE' } });
  });

  it('may hold a line that is too long, or not text: they alone are refused', async () => {
    const [first, last] = many(2);
    const body = Buffer.concat([
      Buffer.from(ndjson([first])),
      Buffer.from(`"${'x'.repeat(100_000)}"\n`),
      Buffer.from([0x22, 0xff, 0x22, 0x0a]),
      Buffer.from(`${'[1,'.repeat(30_000)}\n`),
      Buffer.from(`{"a":${'['.repeat(40_000)}${']'.repeat(40_000)}}\n`),
      Buffer.from(ndjson([last])),
    ]);
    const { lines } = await send(body);
    expect(codes(lines)).toEqual(['accepted', 'EVENT_TOO_LARGE', 'BAD_INPUT', 'BAD_INPUT', 'BAD_INPUT', 'accepted']);
    expect(lines[4]!.refusal!.message).toContain('nests');
  });
});

describe('a caller that streams', () => {
  it('is answered while it still sends', async () => {
    const next = runtime();
    const { sent, answered } = open();
    sent.write(ndjson([next()]));
    const { next: answer } = await answered;
    expect(await answer()).toMatchObject({ line: 1, status: 'accepted' });
    sent.write(ndjson([next(), next()]));
    expect(await answer()).toMatchObject({ line: 2, status: 'accepted' });
    expect(await answer()).toMatchObject({ line: 3, status: 'accepted' });
    sent.end();
    expect(await answer()).toMatchObject({ summary: { accepted: 3 }, error: null });
  });

  it('loses nothing when it goes away, and may send the same again', async () => {
    const events = many(40);
    const body = ndjson(events);
    const { sent, answered } = open();
    sent.write(body.slice(0, body.length / 2));
    const { next: answer, response } = await answered;
    const first = (await answer()) as Line;
    response.on('error', () => undefined);
    sent.on('error', () => undefined).destroy();
    const { lines } = await send(body);
    expect(lines[0]!.receipt!.index).toBe(first.receipt!.index);
    expect(new Set(codes(lines))).toEqual(new Set(['duplicate', 'accepted']));
    const reader = api.trails.acme.reader;
    await reader.fresh(5000);
    const ids = events.map(({ id }) => id as string);
    const found = await reader.find({ id: { $in: ids } }, { limit: 100 });
    expect(found.map(({ entry }) => entry.id)).toEqual(ids);
  });

  it('is told when it sends more than the log can take: at once, or after what was appended', async () => {
    const full = new TrailError('QUEUE_FULL', 'too many events wait');
    const restoreFirst = await append(() => full);
    const response = await post(ndjson(many(1)));
    restoreFirst();
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('1');

    const restore = await append((call) => (call === 2 ? full : undefined));
    const next = runtime();
    const { sent, answered } = open();
    sent.write(ndjson([next()]));
    const { next: answer } = await answered;
    expect(await answer()).toMatchObject({ status: 'accepted' });
    sent.write(ndjson([next()]));
    expect(await answer()).toMatchObject({
      summary: { answered: 1, accepted: 1 },
      error: { code: 'QUEUE_FULL', retryable: true },
    });
    sent.destroy();
    restore();
  });

  it('is told where the log is away', async () => {
    const restore = await append(() => new TrailError('TRAIL_UNAVAILABLE', 'the log can not be written now'));
    const response = await post(ndjson(many(1)));
    restore();
    expect(response.status).toBe(503);
  });

  it('that does not read its answers is not read from any further', async () => {
    const instance = await api.services.open(api.ids.acme);
    const principal = 'sales-agent' as PrincipalId;
    const caller = { instance: api.ids.acme, principal, kind: 'agent', role: 'agent', token: 'agent' } as const;
    const reads = Promise.withResolvers<void>();
    const written: number[][] = [];
    const answers = {
      write: (lines: readonly number[]) => {
        written.push([...lines]);
        return reads.promise;
      },
    };
    const intake = new EventIntake({ caller, instance, services: api.services }, answers, {
      lineBytesMax: 10,
      onFailure: (error) => expect(error).toBeUndefined(),
    });
    const line = (number: number): EndedLine => ({ kind: 'whole', number, bytes: Buffer.from('{}') });
    await intake.take([line(1)]);
    await intake.take([line(2), line(3)]);
    let taken = false;
    const third = intake.take([line(4)]).then(() => (taken = true));
    await expect.poll(() => written).toEqual([[1]]);
    await new Promise(setImmediate);
    expect(taken).toBe(false);
    reads.resolve();
    await third;
    await intake.settled();
    expect(written).toEqual([[1], [2, 3], [4]]);
  });
});

// The last one here: it stops the API of all these tests.
describe('an API that stops', () => {
  it('ends a stream with what was appended, and says to send the rest again', async () => {
    const next = runtime();
    const { sent, answered } = open();
    sent.on('error', () => undefined);
    sent.write(ndjson([next()]));
    const { next: answer } = await answered;
    expect(await answer()).toMatchObject({ status: 'accepted' });
    const stopped = api.api.stop();
    expect(await answer()).toMatchObject({
      summary: { accepted: 1 },
      error: { code: 'TRAIL_UNAVAILABLE', retryable: true },
    });
    sent.destroy();
    await stopped;
  });
});
