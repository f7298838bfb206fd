/** Posting a Slack message. https://docs.slack.dev/reference/methods/chat.postMessage */
import { z } from 'zod';
import type { Settlement, Target, Tool } from '../connector.ts';
import {
  actionOf,
  call,
  channelId,
  earliest,
  findMessage,
  message,
  metadataOf,
  plainText,
  readMessages,
  targetOf,
  timestamp,
  valuesOf,
} from './client.ts';
import { deleteMessage } from './change.ts';

const params = z.strictObject({
  channel: channelId,
  text: z.string().trim().min(1).max(40_000),
  /** Parent message of the thread to reply in. */
  threadTs: timestamp.optional(),
});
type Params = z.infer<typeof params>;

/** How far back `settle` looks: so many messages, of the days since the action. */
const settlePages = 20;
const settlePageSize = 200;

/** A direct message is about the person who gets it. */
function recipient(channel: string): { target?: Target } {
  if (!/^[UW]/.test(channel)) return {};
  return { target: { kind: 'user', id: channel, subject: { system: 'slack', kind: 'user', id: channel } } };
}

const posted = (to: string, channel: string, ts: string): Target => ({
  ...targetOf(channel, ts),
  ...(recipient(to).target?.subject && { subject: recipient(to).target!.subject! }),
});

export const postMessage: Tool<Params> = {
  name: 'slack.postMessage',
  system: 'slack',
  action: 'message.send',
  // It can be deleted for everybody (compensation), unlike a mail.
  effect: 'write',
  idempotency: 'none',
  endpoint: 'POST /api/chat.postMessage',
  input: params,
  takesMapping: false,
  plan: (p) => [
    {
      params: p,
      items: [{ ...recipient(p.channel), requested: { text: p.text }, sent: { text: p.text } }],
      fields: ['text', 'metadata'],
      channel: { kind: 'chat', id: p.channel },
    },
  ],
  async call(ctx, { params: p }) {
    const answer = await call(
      ctx,
      'write',
      (client) =>
        client.apiCall('chat.postMessage', {
          channel: p.channel,
          text: p.text,
          metadata: metadataOf(ctx),
          ...(p.threadTs === undefined ? {} : { thread_ts: p.threadTs }),
        }),
      z.looseObject({ channel: z.string(), ts: z.string(), message }),
    );
    return {
      items: [
        { outcome: 'success', target: posted(p.channel, answer.channel, answer.ts), after: valuesOf(answer.message) },
      ],
      response: { channel: answer.channel, ts: answer.ts },
    };
  },
  async verify(ctx, { params: p }, result) {
    const [channel, ts] = result.items[0]!.target!.id.split('/') as [string, string];
    const found = await findMessage(ctx, { channel, ts, threadTs: p.threadTs });
    if (found === undefined) return { matches: false, items: [{ matches: false }] };
    const matches = plainText(found.text ?? '') === plainText(p.text) && actionOf(found) === ctx.actionId;
    return { matches, items: [{ matches, readBack: valuesOf(found) }] };
  },
  settleAfterMs: 10_000,
  async settle(ctx, { params: p }): Promise<Settlement> {
    if (/^[UW]/.test(p.channel)) {
      return { state: 'undetermined', reason: 'a direct message can be looked for by its channel id only' };
    }
    let cursor: string | undefined;
    for (let page = 0; page < settlePages; page += 1) {
      const read = await readMessages(ctx, {
        channel: p.channel,
        threadTs: p.threadTs,
        oldest: earliest(ctx),
        limit: settlePageSize,
        cursor,
      });
      const found = read.messages.find((m) => actionOf(m) === ctx.actionId);
      if (found !== undefined) {
        return {
          state: 'applied',
          result: {
            items: [{ outcome: 'success', target: targetOf(p.channel, found.ts), after: valuesOf(found) }],
            response: { channel: p.channel, ts: found.ts },
          },
        };
      }
      if (read.nextCursor === undefined) return { state: 'not-applied' };
      cursor = read.nextCursor;
    }
    return { state: 'undetermined', reason: `not among the newest ${settlePages * settlePageSize} messages` };
  },
  compensate(step, _before, result) {
    const [channel, ts] = result.items[0]?.target?.id.split('/') ?? [];
    if (channel === undefined || ts === undefined) return undefined;
    const { threadTs } = step.params;
    return { tool: deleteMessage.name, params: { channel, ts, ...(threadTs === undefined ? {} : { threadTs }) } };
  },
};
