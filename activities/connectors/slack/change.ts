/**
 * Changing and deleting a message of the app's own.
 * https://docs.slack.dev/reference/methods/chat.update and https://docs.slack.dev/reference/methods/chat.delete
 */
import { z } from 'zod';
import type { JsonObject, Tool } from '../connector.ts';
import {
  actionOf,
  call,
  channelId,
  findMessage,
  message,
  metadataOf,
  plainText,
  targetOf,
  timestamp,
  valuesOf,
} from './client.ts';

const address = {
  channel: channelId,
  ts: timestamp,
  /** Parent of the thread, where the message is a reply. */
  threadTs: timestamp.optional(),
};

const updateParams = z.strictObject({ ...address, text: z.string().trim().min(1).max(40_000) });
type UpdateParams = z.infer<typeof updateParams>;

export const updateMessage: Tool<UpdateParams> = {
  name: 'slack.updateMessage',
  system: 'slack',
  action: 'message.update',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'POST /api/chat.update',
  input: updateParams,
  takesMapping: false,
  plan: (p) => [
    {
      params: p,
      items: [{ target: targetOf(p.channel, p.ts), requested: { text: p.text }, sent: { text: p.text } }],
      fields: ['text', 'metadata'],
      channel: { kind: 'chat', id: p.channel },
    },
  ],
  async before(ctx, { params: p }) {
    const found = await findMessage(ctx, p);
    return [found === undefined ? null : valuesOf(found)];
  },
  async call(ctx, { params: p }) {
    const answer = await call(
      ctx,
      'write',
      (client) => client.chat.update({ channel: p.channel, ts: p.ts, text: p.text, metadata: metadataOf(ctx) }),
      z.looseObject({ ts: z.string(), text: z.string().optional(), message: message.partial({ ts: true }).optional() }),
    );
    const after: JsonObject = {
      text: answer.message?.text ?? answer.text ?? p.text,
      metadata: metadataOf(ctx),
    };
    return { items: [{ outcome: 'success', target: targetOf(p.channel, p.ts), after }], response: { ts: answer.ts } };
  },
  async verify(ctx, { params: p }) {
    const found = await findMessage(ctx, p);
    if (found === undefined) return { matches: false, items: [{ matches: false }] };
    const matches = plainText(found.text ?? '') === plainText(p.text) && actionOf(found) === ctx.actionId;
    return { matches, items: [{ matches, readBack: valuesOf(found) }] };
  },
  settleAfterMs: 10_000,
  /** By the mark that each write of ours leaves; see salesforce/update.ts. */
  async settle(ctx, { params: p }, before) {
    const found = await findMessage(ctx, p);
    const was = before[0] as JsonObject | null | undefined;
    if (found === undefined) {
      return was ? { state: 'undetermined', reason: 'the message is gone' } : { state: 'not-applied' };
    }
    if (actionOf(found) === ctx.actionId) {
      return {
        state: 'applied',
        result: { items: [{ outcome: 'success', target: targetOf(p.channel, p.ts), after: valuesOf(found) }] },
      };
    }
    const unchanged = was && actionOf(found) === actionOf({ ts: p.ts, ...was });
    return unchanged
      ? { state: 'not-applied' }
      : { state: 'undetermined', reason: 'the message was written again since' };
  },
  compensate(step, before) {
    const was = before[0] as JsonObject | null | undefined;
    if (!was || typeof was['text'] !== 'string' || was['text'] === '') return undefined;
    return { tool: updateMessage.name, params: { ...step.params, text: was['text'] } };
  },
};

const deleteParams = z.strictObject(address);
type DeleteParams = z.infer<typeof deleteParams>;

/** A second call finds nothing and fails. Slack can't bring a message back; its content is in the before-values. */
export const deleteMessage: Tool<DeleteParams> = {
  name: 'slack.deleteMessage',
  system: 'slack',
  action: 'message.delete',
  effect: 'irreversible',
  idempotency: 'conditional',
  endpoint: 'POST /api/chat.delete',
  input: deleteParams,
  takesMapping: false,
  plan: (p) => [
    {
      params: p,
      items: [{ target: targetOf(p.channel, p.ts) }],
      fields: [],
      channel: { kind: 'chat', id: p.channel },
    },
  ],
  async before(ctx, { params: p }) {
    const found = await findMessage(ctx, p);
    return [found === undefined ? null : valuesOf(found)];
  },
  async call(ctx, { params: p }) {
    await call(ctx, 'write', (client) => client.chat.delete({ channel: p.channel, ts: p.ts }), z.looseObject({}));
    return { items: [{ outcome: 'success', target: targetOf(p.channel, p.ts) }] };
  },
  async verify(ctx, { params: p }) {
    const matches = (await findMessage(ctx, p)) === undefined;
    return { matches, items: [{ matches }] };
  },
  settleAfterMs: 10_000,
  async settle(ctx, { params: p }, before) {
    if (before[0] === null || (await findMessage(ctx, p)) !== undefined) return { state: 'not-applied' };
    return {
      state: 'applied',
      result: { items: [{ outcome: 'success', target: targetOf(p.channel, p.ts) }] },
    };
  },
};
