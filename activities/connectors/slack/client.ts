/**
 * Calls to the Slack Web API through `@slack/web-api`, whose own retries and rate-limit queue are off: each try is a
 * recorded attempt of ours. Slack answers 200 to nearly everything; what went wrong is a word in `error`:
 * https://docs.slack.dev/apis/web-api/#evaluating_responses and each method's page under docs.slack.dev/reference/methods
 */
import { LogLevel, WebClient, type FetchFunction } from '@slack/web-api';
import { z } from 'zod';
import type { ErrorCode } from '../../../schema/taxonomy.ts';
import { eventIdTimeMs } from '../../../schema/ids.ts';
import { ConnectorError, type CallContext, type JsonObject, type Target } from '../connector.ts';
import { unreadable, type CallEffect } from '../transport/failure.ts';
import { send } from '../transport/request.ts';

export const credential = z.strictObject({ botToken: z.string().min(1).max(512) });

/** Channel, group, direct message, or a user (whose direct message it then is). */
export const channelId = z.string().regex(/^[CGDUW][A-Z0-9]{2,20}$/);
export const timestamp = z.string().regex(/^\d{10}\.\d{6}$/);

/** https://docs.slack.dev/messaging/message-metadata : our mark on a message. */
export const metadataEventType = 'trailkeeper_action';
export const metadataOf = (ctx: CallContext) => ({
  event_type: metadataEventType,
  event_payload: { correlation_id: ctx.correlationId, action_id: ctx.actionId, step: ctx.step },
});

const codes: Readonly<Record<string, ErrorCode>> = {
  not_authed: 'UNAUTHENTICATED',
  invalid_auth: 'UNAUTHENTICATED',
  account_inactive: 'UNAUTHENTICATED',
  token_revoked: 'UNAUTHENTICATED',
  token_expired: 'UNAUTHENTICATED',
  missing_scope: 'FORBIDDEN',
  no_permission: 'FORBIDDEN',
  access_denied: 'FORBIDDEN',
  not_in_channel: 'FORBIDDEN',
  is_archived: 'FORBIDDEN',
  not_allowed_token_type: 'FORBIDDEN',
  restricted_action: 'FORBIDDEN',
  restricted_action_read_only_channel: 'FORBIDDEN',
  cant_update_message: 'FORBIDDEN',
  cant_delete_message: 'FORBIDDEN',
  channel_not_found: 'NOT_FOUND',
  message_not_found: 'NOT_FOUND',
  thread_not_found: 'NOT_FOUND',
  user_not_found: 'NOT_FOUND',
  edit_window_closed: 'CONFLICT',
  ratelimited: 'RATE_LIMITED',
  rate_limited: 'RATE_LIMITED',
  message_limit_exceeded: 'RATE_LIMITED',
  internal_error: 'UNAVAILABLE',
  fatal_error: 'UNAVAILABLE',
  service_unavailable: 'UNAVAILABLE',
};

/** Each method's page: "It's possible some aspect of the operation succeeded before the error was raised." */
const mayHaveActed = new Set(['internal_error', 'fatal_error', 'service_unavailable']);

const answerShape = z.looseObject({ ok: z.boolean(), error: z.string().optional() });

/** The fetch of WebClient: our transport, which throws our errors; Slack's refusals become them here too. */
const transport =
  (ctx: CallContext, effect: CallEffect): FetchFunction =>
  async (url, init) => {
    const { pathname } = new URL(url instanceof Request ? url.url : url);
    const answer = await send(ctx, {
      method: 'POST',
      path: pathname,
      effect,
      headers: Object.fromEntries(new Headers(init?.headers)),
      body: init?.body as string,
    });
    let parsed: z.infer<typeof answerShape>;
    try {
      parsed = answerShape.parse(JSON.parse(answer.text));
    } catch {
      throw unreadable(effect, 'answer is not a Web API response', answer.status);
    }
    if (!parsed.ok) {
      const error = parsed.error ?? '';
      throw new ConnectorError(codes[error] ?? 'INVALID_REQUEST', {
        tookEffect: effect === 'write' && mayHaveActed.has(error) ? 'unknown' : 'no',
        httpStatus: answer.status,
        detail: answer.text.slice(0, 2000),
      });
    }
    return new Response(answer.text, { status: 200, headers: { 'content-type': 'application/json' } });
  };

const causeOf = (error: unknown): unknown =>
  error instanceof Error && !(error instanceof ConnectorError) && error.cause !== undefined
    ? causeOf(error.cause)
    : error;

/** One Web API call. Throws ConnectorError. */
export async function call<T>(
  ctx: CallContext,
  effect: CallEffect,
  method: (client: WebClient) => Promise<unknown>,
  shape: z.ZodType<T>,
): Promise<T> {
  const { botToken } = credential.parse(ctx.credential);
  const client = new WebClient(botToken, {
    slackApiUrl: `${ctx.baseUrl.replace(/\/+$/, '')}/api/`,
    allowAbsoluteUrls: false,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    logLevel: LogLevel.ERROR,
    fetch: transport(ctx, effect),
  });
  let answer: unknown;
  try {
    answer = await method(client);
  } catch (error) {
    const cause = causeOf(error);
    if (cause instanceof ConnectorError) throw cause;
    throw error;
  }
  const parsed = shape.safeParse(answer);
  if (!parsed.success) throw unreadable(effect, 'answer has another form', 200);
  return parsed.data;
}

export const message = z.looseObject({
  ts: z.string(),
  user: z.string().optional(),
  text: z.string().optional(),
  thread_ts: z.string().optional(),
  metadata: z
    .looseObject({ event_type: z.string().optional(), event_payload: z.record(z.string(), z.json()).optional() })
    .optional(),
});
export type Message = z.infer<typeof message>;

const messageList = z.looseObject({
  messages: z.array(message),
  has_more: z.boolean().optional(),
  response_metadata: z.looseObject({ next_cursor: z.string().optional() }).optional(),
});

export interface MessageQuery {
  readonly channel: string;
  /** Parent of the thread to read; absent: the channel itself, without replies. */
  readonly threadTs?: string | undefined;
  readonly oldest?: string | undefined;
  readonly latest?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** https://docs.slack.dev/reference/methods/conversations.history and conversations.replies */
export async function readMessages(
  ctx: CallContext,
  query: MessageQuery,
): Promise<{ messages: readonly Message[]; nextCursor: string | undefined }> {
  const window = {
    channel: query.channel,
    limit: query.limit,
    inclusive: true,
    include_all_metadata: true,
    ...(query.oldest === undefined ? {} : { oldest: query.oldest }),
    ...(query.latest === undefined ? {} : { latest: query.latest }),
    ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
  };
  const { threadTs } = query;
  const answer = await call(
    ctx,
    'read',
    (client) =>
      threadTs === undefined
        ? client.conversations.history(window)
        : client.conversations.replies({ ...window, ts: threadTs }),
    messageList,
  );
  return { messages: answer.messages, nextCursor: answer.response_metadata?.next_cursor || undefined };
}

/** One message; undefined where it is not there. */
export async function findMessage(
  ctx: CallContext,
  at: { readonly channel: string; readonly ts: string; readonly threadTs?: string | undefined },
): Promise<Message | undefined> {
  try {
    const { messages } = await readMessages(ctx, {
      channel: at.channel,
      threadTs: at.threadTs,
      oldest: at.ts,
      latest: at.ts,
      limit: 10,
    });
    return messages.find((m) => m.ts === at.ts);
  } catch (error) {
    if (error instanceof ConnectorError && error.detail?.includes('thread_not_found')) return undefined;
    throw error;
  }
}

/** Id of the action that wrote a message last; null for one that is not ours. */
export const actionOf = (m: Message): string | null => {
  const id = m.metadata?.event_type === metadataEventType ? m.metadata.event_payload?.['action_id'] : undefined;
  return typeof id === 'string' ? id : null;
};

/**
 * From when on a message of this action can exist: the time in the action's id, less the day by which an id may be
 * ahead of other clocks (schema/event.ts, futureMsMax).
 */
export const earliest = (ctx: CallContext): string =>
  `${Math.floor(eventIdTimeMs(ctx.actionId) / 1000) - 86_400}.000000`;

export const targetOf = (channel: string, ts: string): Target => ({ kind: 'message', id: `${channel}/${ts}` });

export const valuesOf = (m: Message): JsonObject => ({
  text: m.text ?? '',
  metadata: (m.metadata as JsonObject) ?? null,
});

/**
 * A text as it was meant: Slack escapes `&`, `<`, `>` and puts links in angle brackets.
 * https://docs.slack.dev/messaging/formatting-message-text
 */
export const plainText = (text: string): string =>
  text
    .replace(/<(?:mailto:)?((?:https?:\/\/)?[^|<>@#!]+(?:@[^|<>]+)?)(?:\|[^<>]*)?>/g, '$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .trim();
