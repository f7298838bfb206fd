/** GraphQL over HTTP, as any client would speak it. */
import type { Connection } from './connection.ts';
import { CliError, exitCodes } from './exit.ts';

interface GraphQLAnswer {
  readonly data?: unknown;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: { readonly code?: string; readonly retryable?: boolean };
  }[];
}

export interface Client {
  readonly connection: Connection;
  /** Throws CliError with what the API refused, or `unavailable` where nobody answers. */
  ask<T>(document: string, variables?: Readonly<Record<string, unknown>>): Promise<T>;
  /** Each answer of a subscription, until it completes or the signal ends it. */
  follow<T>(document: string, variables: Readonly<Record<string, unknown>>, signal: AbortSignal): AsyncGenerator<T>;
}

const requestMsMax = 120_000;

export const createClient = (connection: Connection): Client => {
  const post = async (body: object, accept: string, signal: AbortSignal): Promise<Response> => {
    try {
      return await fetch(connection.endpoint, {
        method: 'POST',
        headers: { authorization: `Bearer ${connection.token}`, 'content-type': 'application/json', accept },
        body: JSON.stringify(body),
        redirect: 'error',
        signal,
      });
    } catch (error) {
      if (signal.aborted && signal.reason !== undefined && (signal.reason as Error).name !== 'TimeoutError')
        throw error;
      throw new CliError(exitCodes.unavailable, `${connection.endpoint} does not answer`);
    }
  };
  return {
    connection,
    async ask<T>(query: string, variables: Readonly<Record<string, unknown>> = {}) {
      const response = await post({ query, variables }, 'application/json', AbortSignal.timeout(requestMsMax));
      return dataOf(await answerOf(response, connection.endpoint)) as T;
    },
    async *follow<T>(query: string, variables: Readonly<Record<string, unknown>>, signal: AbortSignal) {
      const response = await post({ query, variables }, 'text/event-stream', signal);
      if (!response.headers.get('content-type')?.startsWith('text/event-stream'))
        throw refusalOf(await answerOf(response, connection.endpoint));
      for await (const message of messages(response.body!)) yield dataOf(JSON.parse(message) as GraphQLAnswer) as T;
    },
  };
};

/** What an answer of a door refuses the request with; every door says it in GraphQL's form. */
export const answerError = (text: string, endpoint: string, status: number): CliError => {
  try {
    return refusalOf(JSON.parse(text) as GraphQLAnswer);
  } catch {
    return new CliError(exitCodes.unavailable, `${endpoint} answers ${status}, and not as Trailkeeper does`);
  }
};

const answerOf = async (response: Response, endpoint: string): Promise<GraphQLAnswer> => {
  try {
    return (await response.json()) as GraphQLAnswer;
  } catch {
    throw new CliError(exitCodes.unavailable, `${endpoint} answers ${response.status}, and not as Trailkeeper does`);
  }
};

const dataOf = (answer: GraphQLAnswer): unknown => {
  if (answer.errors && answer.errors.length > 0) throw refusalOf(answer);
  return answer.data;
};

const refusalOf = ({ errors = [] }: GraphQLAnswer): CliError => {
  const [first] = errors;
  const code = first?.extensions?.code;
  const exit = first?.extensions?.retryable ? exitCodes.unavailable : exitCodes.refused;
  return new CliError(exit, `${code ?? 'ERROR'}: ${first?.message ?? 'the API refused it'}`, code);
};

/** `data` of each `next` message of a text/event-stream (graphql-sse, distinct connections mode). */
async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const message = text.slice(0, end);
      text = text.slice(end + 2);
      const data = /^event: next\ndata: (.*)$/s.exec(message)?.[1];
      if (data !== undefined) yield data;
    }
  }
}
