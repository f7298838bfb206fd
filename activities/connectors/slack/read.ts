/** Reading a channel or a thread. */
import { z } from 'zod';
import type { JsonObject, Tool } from '../connector.ts';
import { channelId, readMessages, targetOf, timestamp } from './client.ts';

const params = z.strictObject({
  channel: channelId,
  threadTs: timestamp.optional(),
  oldest: timestamp.optional(),
  latest: timestamp.optional(),
  limit: z.int().min(1).max(999).default(100),
  cursor: z.string().max(512).optional(),
});
type Params = z.infer<typeof params>;

/** The messages are in `found`, each with its author as subject. */
export const readHistory: Tool<Params> = {
  name: 'slack.readHistory',
  system: 'slack',
  action: 'message.read',
  effect: 'read',
  idempotency: 'none',
  endpoint: 'POST /api/conversations.history',
  input: params,
  takesMapping: false,
  plan: (p) => [{ params: p, items: [], fields: ['text', 'metadata'], channel: { kind: 'chat', id: p.channel } }],
  async call(ctx, { params: p }) {
    const { messages, nextCursor } = await readMessages(ctx, p);
    return {
      items: [],
      found: messages.map((m) => ({
        target: {
          ...targetOf(p.channel, m.ts),
          ...(m.user === undefined ? {} : { subject: { system: 'slack' as const, kind: 'user', id: m.user } }),
        },
        values: {
          ts: m.ts,
          user: m.user ?? null,
          text: m.text ?? '',
          threadTs: m.thread_ts ?? null,
          metadata: (m.metadata as JsonObject | undefined) ?? null,
        },
      })),
      response: { found: messages.length, nextCursor: nextCursor ?? null },
    };
  },
};
