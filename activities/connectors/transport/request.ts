/**
 * The one way in which connectors speak HTTP: one request, no retry, no redirect followed (a redirect would carry the
 * credential to another host), a time limit over the whole exchange, and a limit on the answer's size.
 */
import type { z } from 'zod';
import { ConnectorError, type CallContext } from '../connector.ts';
import {
  codeOfStatus,
  effectOfStatus,
  failureOfTransport,
  isAbort,
  retryAfterMs,
  unreadable,
  type CallEffect,
} from './failure.ts';

/** No vendor answer that a tool needs is larger. */
export const responseBytesMax = 8 * 1_048_576;
/** How much of the vendor's words is kept as the detail of a failure. */
const detailCharsMax = 2000;

export interface VendorRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `baseUrl`; parts that come from parameters are encoded by the caller. */
  readonly path: string;
  /** What a vendor would do on receiving it; decides what a failure means. */
  readonly effect: CallEffect;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface VendorAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The body decoded as UTF-8; empty for 204. */
  readonly text: string;
}

/** Lets a connector read more out of a refusal than its HTTP status says (Gmail's 403 for a rate limit, say). */
export type RefusalReader = (answer: VendorAnswer) => { code?: ConnectorError['code'] } | undefined;

async function readLimited(response: Response, effect: CallEffect): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > responseBytesMax) throw unreadable(effect, 'answer too large', response.status);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw unreadable(effect, 'answer is not UTF-8', response.status);
  }
}

/** Sends and reads; every HTTP status is an answer. Throws ConnectorError where there is none that can be read. */
export async function exchange(ctx: CallContext, request: VendorRequest): Promise<VendorAnswer> {
  if (ctx.signal.aborted) throw new ConnectorError('TIMEOUT', { tookEffect: 'no', detail: 'cancelled before sending' });
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(ctx.timeoutMs)]);
  let response: Response | undefined;
  try {
    response = await fetch(ctx.baseUrl.replace(/\/+$/, '') + request.path, {
      method: request.method,
      headers: { accept: 'application/json', traceparent: ctx.traceparent, ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: 'manual',
      signal,
    });
    return { status: response.status, headers: response.headers, text: await readLimited(response, request.effect) };
  } catch (error) {
    if (error instanceof ConnectorError) throw error;
    // Cut in the middle of an answer: the status line is known, but not what the vendor meant to say.
    if (response !== undefined && !isAbort(error) && effectOfStatus(response.status, request.effect) === 'unknown') {
      throw unreadable(request.effect, 'answer cut off', response.status);
    }
    throw failureOfTransport(error, request.effect);
  }
}

/** The error for an answer whose status is not a success. */
export function refusal(answer: VendorAnswer, effect: CallEffect, read?: RefusalReader): ConnectorError {
  const wait = retryAfterMs(answer.headers);
  return new ConnectorError(read?.(answer)?.code ?? codeOfStatus(answer.status), {
    tookEffect: effectOfStatus(answer.status, effect),
    httpStatus: answer.status,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
    ...(answer.text === '' ? {} : { detail: answer.text.slice(0, detailCharsMax) }),
  });
}

/** As `exchange`, but only 2xx is an answer; everything else is thrown. */
export async function send(ctx: CallContext, request: VendorRequest, read?: RefusalReader): Promise<VendorAnswer> {
  const answer = await exchange(ctx, request);
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw refusal(answer, request.effect, read);
}

/** For a call that answers with nothing: 204, or an empty object where a vendor sends that. */
export function readNothing(answer: VendorAnswer, effect: CallEffect): void {
  if (answer.text.trim() === '' || answer.text.trim() === '{}') return;
  throw unreadable(effect, 'an answer where none was expected', answer.status);
}

/** Parses an answer's JSON by a schema; what does not fit is MALFORMED_RESPONSE. */
export function readJson<T>(answer: VendorAnswer, schema: z.ZodType<T>, effect: CallEffect): T {
  let value: unknown;
  try {
    value = JSON.parse(answer.text);
  } catch {
    throw unreadable(effect, 'answer is not JSON', answer.status);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const paths = parsed.error.issues.slice(0, 5).map((issue) => issue.path.join('.'));
    throw unreadable(effect, `answer has another form at: ${paths.join(', ')}`, answer.status);
  }
  return parsed.data;
}
