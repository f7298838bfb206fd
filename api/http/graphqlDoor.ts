/**
 * The GraphQL door: from a request that is authenticated and read to the answer. What the answer reads is recorded
 * before it leaves; where that fails, there is no answer but the error.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { createYoga, type Plugin } from 'graphql-yoga';
import { createApiSchema } from '../schema.ts';
import { toGraphQLError } from '../errorMapping.ts';
import type { ApiErrorCode } from '../errors.ts';
import { documentLimits } from '../limits/documentLimits.ts';
import type { ApiLimits } from '../limits/limits.ts';
import type { RequestContext } from '../requestContext.ts';

/** Records what was read between carrying a query out and letting its answer go. */
const settleReads: Plugin<RequestContext> = {
  onExecute: () => ({
    async onExecuteDone({ args, setResult }) {
      try {
        await args.contextValue.reads.settle();
      } catch (error) {
        setResult({ data: null, errors: [toGraphQLError(error)] });
      }
    },
  }),
};

/** What is refused before it is carried out (syntax, validation) is coded like all else. */
const codeErrors: Plugin = {
  onResultProcess(hook) {
    const { result } = hook;
    if (Array.isArray(result) || !('errors' in result) || !result.errors) return;
    hook.setResult({ ...result, errors: result.errors.map(toGraphQLError) });
  },
};

export interface GraphQLDoorOptions {
  readonly limits: ApiLimits;
  readonly introspection: boolean;
  /** Told of each error that leaves, with what was thrown. */
  readonly onError: (code: ApiErrorCode, error: unknown, requestId: string | undefined) => void;
}

export type GraphQLDoor = (
  request: IncomingMessage,
  body: Buffer,
  context: RequestContext,
  response: ServerResponse,
) => Promise<void>;

export const createGraphQLDoor = ({ limits, introspection, onError }: GraphQLDoorOptions): GraphQLDoor => {
  const yoga = createYoga<RequestContext>({
    schema: createApiSchema(),
    graphqlEndpoint: '/graphql',
    plugins: [codeErrors, documentLimits(limits, introspection), settleReads],
    maskedErrors: {
      maskError: (error) => {
        const masked = toGraphQLError(error);
        onError(masked.extensions['code'] as ApiErrorCode, error, undefined);
        return masked;
      },
    },
    cors: false,
    graphiql: false,
    landingPage: false,
    multipart: false,
    batching: false,
    logging: false,
    fetchAPI: { Request, Response, Headers, ReadableStream, TextEncoder, URL },
  });
  return async (request, body, context, response) => {
    const { method = 'GET', headers, url = '/' } = request;
    const hasBody = method !== 'GET' && method !== 'HEAD';
    const forwarded = new Headers();
    for (const name of ['accept', 'content-type'] as const) if (headers[name]) forwarded.set(name, headers[name]);
    const answer = await yoga.fetch(
      new Request(new URL(url, 'http://api'), {
        method,
        headers: forwarded,
        signal: context.signal,
        ...(hasBody && { body: new Uint8Array(body) }),
      }),
      context,
    );
    await forward(answer, response);
  };
};

const forward = async (answer: Response, response: ServerResponse): Promise<void> => {
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (!answer.body) {
    response.end();
    return;
  }
  const body = Readable.fromWeb(answer.body as never);
  body.on('error', () => response.destroy());
  response.on('close', () => body.destroy());
  body.pipe(response);
  await once(response, 'close');
};
