import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi({ limits: { bodyBytesMax: 20_000 } });
});
afterAll(() => api.close());

const post = (body: BodyInit, headers: Record<string, string> = {}) =>
  api.fetch('/graphql', { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });

const codeOf = async (response: Response) => {
  const { errors } = (await response.json()) as { errors: { extensions: { code: string; retryable: boolean } }[] };
  return { status: response.status, code: errors[0]!.extensions.code, retryable: errors[0]!.extensions.retryable };
};

const node = 'parts { content } actor { kind } emitter { id } versions { model } authorization { result }';
/** Three pages, which would each be taken. */
const pages = (size: string) =>
  `{ ${[1, 2, 3].map((n) => `p${n}: events(first: ${size}) { edges { node { ${node} } } }`).join(' ')} }`;

describe('what a query may ask for', () => {
  it.each([
    ['a syntax error', '{ events {', 'BAD_INPUT'],
    ['an unknown field', '{ nonsense }', 'BAD_INPUT'],
    ['an unknown argument', '{ gaps(nonsense: 1) { behind } }', 'BAD_INPUT'],
    ['a wrong type', '{ gaps(first: "many") { behind } }', 'BAD_INPUT'],
    ['a bad id', '{ event(id: "1") { index } }', 'BAD_INPUT'],
    ['a time without an offset', '{ events(filter: {eventTimeFrom: "2026-01-01T00:00:00"}) { behind } }', 'BAD_INPUT'],
    ['an action that is not in the taxonomy', '{ events(filter: {action: ["x.y"]}) { behind } }', 'BAD_INPUT'],
    ['a fragment that contains itself', '{ ...F } fragment F on Query { gaps { behind } ...F }', 'BAD_INPUT'],
    [
      'too many levels',
      `{ a: __type(name: "Event") { ${'fields { type { ofType { '.repeat(5)} name ${'} } }'.repeat(5)} } }`,
      'QUERY_TOO_DEEP',
    ],
    ['pages that are too large', pages('500'), 'QUERY_TOO_COSTLY'],
    [
      'many pages at once',
      `{ ${Array.from({ length: 15 }, (_, i) => `a${i}: events(first: 400) { edges { node { id } } }`).join(' ')} }`,
      'QUERY_TOO_COSTLY',
    ],
    [
      'costs hidden in fragments',
      `{ ${Array.from({ length: 15 }, (_, i) => `a${i}: events(first: 400) { ...F }`).join(' ')} }
       fragment F on EventConnection { edges { node { id } } }`,
      'QUERY_TOO_COSTLY',
    ],
    [
      'too many aliases',
      `{ ${Array.from({ length: 16 }, (_, i) => `a${i}: gaps { behind }`).join(' ')} }`,
      'TOO_MANY_ALIASES',
    ],
    ['too many tokens', `{ ${'gaps { behind } '.repeat(600)} }`, 'TOO_MANY_TOKENS'],
    ['introspection where it is off', '{ __schema { types { name } } }', 'BAD_INPUT'],
  ])('refuses %s', async (_what, query, code) => {
    const { status, errors } = await api.ask(query);
    expect(errors?.[0]?.extensions).toEqual({ code, retryable: false });
    expect(status).toBe(400);
  });

  it('takes a page whose size stands in a variable for the largest', async () => {
    const { errors } = await api.ask(`query ($n: Int) ${pages('$n')}`, { n: 1 });
    expect(errors?.[0]?.extensions.code).toBe('QUERY_TOO_COSTLY');
  });

  it('answers introspection where it is switched on', async () => {
    const open = await openTestApi({ introspection: true });
    try {
      const { data } = await open.ask('{ __schema { queryType { fields { name } } } }');
      expect(data.__schema.queryType.fields.map(({ name }: { name: string }) => name)).toContain('timeline');
    } finally {
      await open.close();
    }
  });

  it('refuses variables of the wrong shape, and names none of their values', async () => {
    const { status, text, errors } = await api.ask('query ($id: EventId!) { event(id: $id) { index } }', {
      id: 'secret-looking-value',
    });
    expect(status).toBe(400);
    expect(errors?.[0]?.extensions.code).toBe('BAD_INPUT');
    expect(text).not.toContain('secret-looking-value');
  });
});

describe('what a body may be', () => {
  it('refuses one that announces too much, before reading it', async () => {
    expect(await codeOf(await post('x'.repeat(30_000)))).toEqual({
      status: 413,
      code: 'BODY_TOO_LARGE',
      retryable: false,
    });
  });

  it('refuses one that comes in chunks as soon as it is too much, and the answer gets through', async () => {
    const { port } = new URL(api.url);
    const sending = httpRequest({
      port,
      path: '/graphql',
      method: 'POST',
      headers: {
        authorization: `Bearer ${api.tokens.acme['auditor']}`,
        'content-type': 'application/json',
        'transfer-encoding': 'chunked',
      },
    });
    const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
    let sent = 0;
    // Never ends by itself: only the answer stops it.
    const more = () => {
      if (sending.destroyed) return;
      sent += 4096;
      sending.write('x'.repeat(4096), () => setImmediate(more));
    };
    more();
    const [response] = await answered;
    expect(response.statusCode).toBe(413);
    sending.destroy();
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  it('refuses bytes that are not UTF-8', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"query":"{ gaps { behind } } #'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}'),
    ]);
    expect(await codeOf(await post(bytes))).toEqual({ status: 400, code: 'BAD_INPUT', retryable: false });
  });

  it.each([
    ['what is no JSON', '{"query":'],
    ['JSON that is no object', '"{ gaps { behind } }"'],
    ['a batch of operations', '[{"query":"{ gaps { behind } }"},{"query":"{ gaps { behind } }"}]'],
    ['an object without a query', '{"variables":{}}'],
    ['unknown fields beside the query', '{"query":"{ gaps { behind } }","nonsense":1}'],
  ])('refuses %s', async (_what, body) => {
    expect(await codeOf(await post(body))).toEqual({ status: 400, code: 'BAD_INPUT', retryable: false });
  });

  it('refuses a compressed body', async () => {
    expect((await codeOf(await post('{}', { 'content-encoding': 'gzip' }))).code).toBe('BAD_INPUT');
  });

  it('refuses a body of another type', async () => {
    const response = await post('query=1', { 'content-type': 'text/csv' });
    expect(response.status).toBe(415);
  });
});

describe('how it is spoken to', () => {
  it('answers queries by GET, and refuses mutations by GET', async () => {
    const query = await api.fetch(`/graphql?query=${encodeURIComponent('{ gaps { behind } }')}`);
    expect(((await query.json()) as { data: unknown }).data).toEqual({ gaps: { behind: 0 } });
    const mutation = await api.fetch(
      `/graphql?query=${encodeURIComponent('mutation { suspendInstance(reason: "x") { index } }')}`,
      {},
      'responder',
    );
    expect(mutation.status).toBe(405);
    expect((await codeOf(mutation)).code).toBe('BAD_INPUT');
  });

  it('gives no other origin access', async () => {
    const preflight = await api.fetch('/graphql', {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    const answer = await post('{"query":"{ gaps { behind } }"}', { origin: 'https://evil.example' });
    expect(answer.status).toBe(200);
    for (const { headers } of [preflight, answer])
      expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    expect(preflight.status).toBe(405);
  });

  it('sends security headers with every answer', async () => {
    for (const path of ['/graphql', '/healthz', '/nowhere', '/log/x/checkpoint']) {
      const { headers } = await api.fetch(path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('strict-transport-security')).toContain('max-age');
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});
