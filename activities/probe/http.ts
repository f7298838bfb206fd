/** Attempts through the doors of the API, under tokens of the canary. */
import { v7 as uuidv7 } from 'uuid';
import type { CanaryTokens } from './canary.ts';
import type { Attempt } from './attempt.ts';
import type { Target } from './target.ts';

const requestMs = 30_000;

interface Answer {
  readonly status: number;
  readonly text: string;
}

const ask = async (url: string, token: string, init: RequestInit = {}): Promise<Answer> => {
  const response = await fetch(url, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) },
    redirect: 'error',
    signal: AbortSignal.timeout(requestMs),
  });
  const answer = { status: response.status, text: await response.text() };
  // Away, or not taking the canary's own token: then it says nothing of the boundary.
  if (response.status >= 500 || response.status === 401 || response.status === 429) throw new Error('not tried');
  return answer;
};

const graphqlAs = (api: string, token: string) => (query: string, variables: object) =>
  ask(`${api}/graphql`, token, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });

const codeOf = ({ text }: Answer): string | undefined =>
  (JSON.parse(text) as { errors?: { extensions?: { code?: string } }[] }).errors?.[0]?.extensions?.code;

export const httpAttempts = (api: string, { tokens }: CanaryTokens, target: Target): Attempt[] => {
  const graphql = (
    attempt: string,
    role: keyof CanaryTokens['tokens'],
    query: string,
    variables: object,
    code: string,
  ): Attempt => ({
    boundary: 'graphql',
    attempt,
    make: async () => (codeOf(await graphqlAs(api, tokens[role])(query, variables)) === code ? 'refused' : 'crossed'),
  });
  const { event, correlationId, emitter, logId } = target;
  const empty = async (query: string, variables: object, field: string): Promise<'refused' | 'crossed'> => {
    const { text } = await graphqlAs(api, tokens.auditor)(query, variables);
    const { data } = JSON.parse(text) as { data?: Record<string, { edges: unknown[] }> };
    if (data?.[field] === undefined) throw new Error('not tried');
    return data[field].edges.length === 0 ? 'refused' : 'crossed';
  };
  const missing = (boundary: 'log' | 'evidence', attempt: string, path: string): Attempt => ({
    boundary,
    attempt,
    make: async () => ((await ask(`${api}${path}`, tokens.auditor)).status === 404 ? 'refused' : 'crossed'),
  });
  return [
    graphql('event by id', 'auditor', 'query ($id: EventId!) { event(id: $id) { index } }', { id: event }, 'NOT_FOUND'),
    graphql(
      'timeline by correlation id',
      'auditor',
      'query ($id: CorrelationId!) { timeline(correlationId: $id) { behind } }',
      { id: correlationId },
      'NOT_FOUND',
    ),
    graphql(
      'inclusion proof by event id',
      'auditor',
      'query ($id: EventId!) { inclusionProof(event: $id) { index } }',
      { id: event },
      'NOT_FOUND',
    ),
    graphql(
      'disclosure by event id',
      'auditor',
      'mutation ($id: EventId!) { disclose(event: $id, part: "originals") { state } }',
      { id: event },
      'NOT_FOUND',
    ),
    graphql(
      'gaps of an emitter',
      'auditor',
      'query ($id: String!) { gaps(emitter: $id) { behind } }',
      { id: emitter },
      'NOT_FOUND',
    ),
    graphql('list of instances', 'admin', '{ instances { next } }', {}, 'FORBIDDEN'),
    {
      boundary: 'graphql',
      attempt: 'events by correlation id',
      make: () =>
        empty(
          'query ($id: CorrelationId!) { events(filter: { correlationId: $id }) { edges { cursor } } }',
          { id: correlationId },
          'events',
        ),
    },
    {
      boundary: 'events',
      attempt: 'event in a run of the other instance',
      make: async () => {
        const line = {
          id: uuidv7(),
          correlationId,
          spanId: 'cd'.repeat(8),
          runId: event,
          emitter: { id: 'isolation-probe', sequence: 1 },
          eventTime: new Date().toISOString(),
          actor: { principal: 'prober', kind: 'service' },
          action: 'tool.call',
          phase: 'observation',
          system: 'agent',
        };
        const { text } = await ask(`${api}/v1/events`, tokens.agent, {
          method: 'POST',
          headers: { 'content-type': 'application/x-ndjson' },
          body: `${JSON.stringify(line)}\n`,
        });
        return text.includes('"refused"') ? 'refused' : 'crossed';
      },
    },
    missing('log', 'checkpoint', `/log/${logId}/checkpoint`),
    missing('log', 'entries', `/log/${logId}/tile/entries/000.p/1`),
    missing('log', 'hashes', `/log/${logId}/tile/0/000.p/1`),
    missing('evidence', 'pack', `/evidence/${event}`),
  ];
};
