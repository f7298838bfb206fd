/**
 * Calls to the Gmail API v1. The credential is an OAuth access token; obtaining and renewing it is not the connector's
 * business. Errors: https://developers.google.com/workspace/gmail/api/guides/handle-errors
 */
import { z } from 'zod';
import type { ErrorCode, System } from '../../../schema/taxonomy.ts';
import { eventIdTimeMs } from '../../../schema/ids.ts';
import { ConnectorError, type CallContext, type Json, type JsonObject } from '../connector.ts';
import { readJson, send, type VendorAnswer, type VendorRequest } from '../transport/request.ts';

export const credential = z.strictObject({
  accessToken: z.string().min(1).max(4096),
  /** The mailbox's own address. */
  address: z.email().max(320),
});

export const idPattern = /^[A-Za-z0-9_-]{1,128}$/;

/** A person as a mailbox. Addresses are compared without regard to case. */
export const mailbox = (address: string) => ({
  system: 'gmail' satisfies System as 'gmail',
  kind: 'mailbox',
  id: address.toLowerCase(),
});

const errorShape = z.looseObject({
  error: z.looseObject({ errors: z.array(z.looseObject({ reason: z.string().optional() })).optional() }),
});

const rateLimitReasons = new Set(['rateLimitExceeded', 'userRateLimitExceeded', 'dailyLimitExceeded', 'quotaExceeded']);

/** handle-errors: a used-up limit is a 403 as often as a 429. */
function readRefusal(answer: VendorAnswer): { code?: ErrorCode } | undefined {
  if (answer.status !== 403) return undefined;
  try {
    const { error } = errorShape.parse(JSON.parse(answer.text));
    return error.errors?.some((e) => rateLimitReasons.has(e.reason ?? '')) ? { code: 'RATE_LIMITED' } : undefined;
  } catch {
    return undefined;
  }
}

export async function call(
  ctx: CallContext,
  request: Pick<VendorRequest, 'method' | 'path' | 'effect'> & { readonly json?: Json },
): Promise<VendorAnswer> {
  const { accessToken } = credential.parse(ctx.credential);
  return send(
    ctx,
    {
      method: request.method,
      path: `/gmail/v1/users/me${request.path}`,
      effect: request.effect,
      headers: {
        authorization: `Bearer ${accessToken}`,
        ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
    },
    readRefusal,
  );
}

/** Our marks. Unlike Message-ID, headers with a name of our own stay as they are. */
export const headers = {
  correlation: 'X-Trailkeeper-Correlation-Id',
  action: 'X-Trailkeeper-Action-Id',
} as const;

interface Part {
  mimeType?: string | undefined;
  headers?: { name: string; value: string }[] | undefined;
  body?: { data?: string | undefined } | undefined;
  parts?: Part[] | undefined;
}
const partShape: z.ZodType<Part> = z.lazy(() =>
  z.looseObject({
    mimeType: z.string().optional(),
    headers: z.array(z.looseObject({ name: z.string(), value: z.string() })).optional(),
    body: z.looseObject({ data: z.string().optional() }).optional(),
    parts: z.array(partShape).optional(),
  }),
);

export const messageShape = z.looseObject({
  id: z.string(),
  threadId: z.string(),
  labelIds: z.array(z.string()).optional(),
  internalDate: z.string().optional(),
  payload: partShape.optional(),
});
export type Message = z.infer<typeof messageShape>;

export const header = (message: Message, name: string): string | undefined =>
  message.payload?.headers?.find((h) => h.name.toLowerCase() === name.toLowerCase())?.value;

/** The plain text of a message: its text/plain parts in order. */
export function textOf(part: Part | undefined): string {
  if (part === undefined) return '';
  if (part.parts !== undefined) return part.parts.map(textOf).join('');
  if (part.mimeType !== 'text/plain') return '';
  return Buffer.from(part.body?.data ?? '', 'base64url').toString('utf8');
}

/** The addresses in a header, lower case. */
export function addressesIn(value: string | undefined): string[] {
  return [...(value ?? '').matchAll(/[^\s<>,;:"]+@[^\s<>,;:"]+/g)].map(([address]) => address.toLowerCase());
}

export const valuesOf = (message: Message): JsonObject => ({
  from: header(message, 'from') ?? null,
  to: header(message, 'to') ?? null,
  cc: header(message, 'cc') ?? null,
  subject: header(message, 'subject') ?? null,
  date: header(message, 'date') ?? null,
  messageId: header(message, 'message-id') ?? null,
  correlationId: header(message, headers.correlation) ?? null,
  text: textOf(message.payload),
});

/** Null where the read answers 404. */
export async function orNull<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof ConnectorError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

export async function getMessage(ctx: CallContext, id: string): Promise<Message> {
  const answer = await call(ctx, { method: 'GET', path: `/messages/${id}?format=full`, effect: 'read' });
  return readJson(answer, messageShape, 'read');
}

const draftShape = z.looseObject({ id: z.string(), message: messageShape });

export async function getDraft(ctx: CallContext, id: string): Promise<z.infer<typeof draftShape>> {
  const answer = await call(ctx, { method: 'GET', path: `/drafts/${id}?format=full`, effect: 'read' });
  return readJson(answer, draftShape, 'read');
}

export const listShape = z.looseObject({
  messages: z.array(z.looseObject({ id: z.string() })).optional(),
  drafts: z.array(z.looseObject({ id: z.string(), message: z.looseObject({ id: z.string() }) })).optional(),
  nextPageToken: z.string().optional(),
});

/**
 * From when on a message of this action can exist, in seconds: the time in the action's id, less the day by which an
 * id may be ahead of other clocks (schema/event.ts, futureMsMax).
 */
export const earliestSeconds = (ctx: CallContext): number => Math.floor(eventIdTimeMs(ctx.actionId) / 1000) - 86_400;
