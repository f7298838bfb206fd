/** `POST /v1/events` (docs/ingest.md): sends a file of NDJSON as it is read, and gives each line of the answer as it comes. */
import { once } from 'node:events';
import { request as overHttp, type IncomingMessage } from 'node:http';
import { request as overHttps } from 'node:https';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { answerError } from './client.ts';
import type { Connection } from './connection.ts';
import { CliError, exitCodes } from './exit.ts';

export interface EventAnswer {
  /** In the file, from 1. */
  readonly line: number;
  readonly status: 'accepted' | 'duplicate' | 'refused';
  readonly receipt: { readonly id: string; readonly index: number } | null;
  readonly refusal: { readonly code: string; readonly message: string } | null;
}

export interface LastAnswer {
  readonly summary: {
    readonly answered: number;
    readonly accepted: number;
    readonly duplicate: number;
    readonly refused: number;
  };
  readonly error: { readonly code: string; readonly retryable: boolean; readonly message: string } | null;
}

/**
 * `answer` is given each answer and the line that it came as. Throws CliError where the request was refused or cut off, with
 * what was answered before given already: sending all of it again is safe.
 */
export const streamEvents = async (
  { endpoint, token }: Connection,
  body: Readable,
  answer: (answer: EventAnswer, text: string) => void,
): Promise<LastAnswer> => {
  const url = new URL('v1/events', endpoint);
  const away = () => new CliError(exitCodes.unavailable, `${url.href} does not answer to the end; send the file again`);
  const request = (url.protocol === 'https:' ? overHttps : overHttp)(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
  });
  // Answered, and so no longer read: what is left of the file need not be sent.
  let answered = false;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  request.on('error', () => answered || failed.reject(away()));
  body.on('error', () => {
    failed.reject(new CliError(exitCodes.usage, "the file can't be read"));
    request.destroy();
  });
  body.pipe(request);
  try {
    const [response] = (await Promise.race([once(request, 'response'), failed.promise])) as [IncomingMessage];
    if (response.statusCode !== 200) throw answerError(await textOf(response), url.href, response.statusCode ?? 0);
    const last = await Promise.race([read(response, answer), failed.promise]);
    if (!last) throw away();
    return last;
  } finally {
    answered = true;
    body.destroy();
    request.destroy();
  }
};

const read = async (
  response: IncomingMessage,
  answer: (answer: EventAnswer, text: string) => void,
): Promise<LastAnswer | undefined> => {
  try {
    for await (const text of createInterface({ input: response })) {
      const said = JSON.parse(text) as EventAnswer | LastAnswer;
      if ('summary' in said) return said;
      answer(said, text);
    }
  } catch {
    // Cut off: an answer without its last line.
  }
  return undefined;
};

const textOf = async (response: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};
