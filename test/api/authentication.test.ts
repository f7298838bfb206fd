import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newTokenSecret } from '../../store/tokens.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const withHeader = (authorization: string | undefined, path = '/graphql') =>
  api.fetch(
    path,
    {
      method: path === '/graphql' ? 'POST' : 'GET',
      headers: { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) },
      ...(path === '/graphql' && { body: '{"query":"{ gaps { behind } }"}' }),
    },
    'nobody',
  );

const body = async (response: Response) => ({ status: response.status, text: await response.text() });

describe('authentication', () => {
  it('refuses every request without a token that holds, and says the same of each', async () => {
    const good = api.tokens.acme['auditor']!;
    const forged = [
      newTokenSecret(api.ids.acme, 'auditor'),
      newTokenSecret(api.ids.acme, 'no-such-token'),
      newTokenSecret('no-such-instance' as never, 'auditor'),
      `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`,
      good.replace(api.ids.acme, api.ids.globex),
      'tk_',
      'x',
    ];
    const answers = await Promise.all(forged.map(async (token) => body(await withHeader(`Bearer ${token}`))));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    for (const { status, text } of answers) {
      expect(status).toBe(401);
      expect(JSON.parse(text).errors[0].extensions).toEqual({ code: 'UNAUTHENTICATED', retryable: false });
    }
    for (const header of [undefined, 'Basic YTpi', 'Bearer ', `Bearer ${good} x`]) {
      const response = await withHeader(header);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  it('refuses an expired token', async () => {
    api.advance(400 * 86_400_000);
    try {
      expect((await withHeader(`Bearer ${api.tokens.acme['auditor']}`)).status).toBe(401);
    } finally {
      api.advance(-400 * 86_400_000);
    }
    expect((await withHeader(`Bearer ${api.tokens.acme['auditor']}`)).status).toBe(200);
  });

  it('guards the log as it guards GraphQL', async () => {
    expect((await withHeader(undefined, '/log/x/checkpoint')).status).toBe(401);
  });

  it('never reads the body of a stranger', async () => {
    const response = await api.fetch('/graphql', { method: 'POST', body: 'x'.repeat(100_000) }, 'nobody');
    expect(response.status).toBe(401);
  });
});

describe('permission', () => {
  const denied = `query ($principal: PrincipalId) {
    events(filter: {action: ["authorization.decide"], principal: $principal}, last: 10) {
      edges { node { outcome count authorization { about result policySet policies } parts { content } } }
    }
  }`;

  it('is by role, and each denied call is recorded with the decision before it is answered', async () => {
    const { status, errors } = await api.ask('{ verifyLog { outcome } }', {}, 'agent');
    expect(status).toBe(403);
    expect(errors?.[0]?.extensions).toEqual({ code: 'FORBIDDEN', retryable: false });
    const { data } = await api.ask(denied, { principal: 'sales-agent' });
    const nodes = data.events.edges.map(({ node }: { node: object }) => node);
    expect(nodes).toEqual([
      {
        outcome: 'denied',
        count: 1,
        authorization: { about: 'caller', result: 'deny', policySet: 'default', policies: [] },
        parts: [{ content: { operation: 'verifyLog', role: 'agent', token: 'agent' } }],
      },
    ]);
  });

  it('records calls that are denied again and again as a number', async () => {
    for (let i = 0; i < 5; i += 1)
      await api.ask('{ diagnose(correlationId: "0123456789abcdef0123456789abcdef") { behind } }', {}, 'agent');
    api.advance(60_000);
    await api.api.sweep();
    const { data } = await api.ask(denied, { principal: 'sales-agent' });
    const counts = data.events.edges
      .map(({ node }: { node: { count: number; parts: { content: { operation: string } }[] } }) => node)
      .filter(
        ({ parts }: { parts: { content: { operation: string } }[] }) => parts[0]!.content.operation === 'diagnose',
      )
      .map(({ count }: { count: number }) => count);
    expect(counts).toEqual([1, 4]);
  });
});
