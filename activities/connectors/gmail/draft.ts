/** Drafts. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.drafts */
import { z } from 'zod';
import type { Tool } from '../connector.ts';
import { readJson, readNothing } from '../transport/request.ts';
import { call, getDraft, idPattern, listShape, messageShape, orNull, valuesOf } from './client.ts';
import { mailParams, messageOf, planOf, type MailParams } from './compose.ts';
import { findMessage } from './find.ts';
import { resultOf, verification } from './send.ts';

export const createDraft: Tool<MailParams> = {
  name: 'gmail.createDraft',
  system: 'gmail',
  action: 'message.draft',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'POST /gmail/v1/users/{userId}/drafts',
  input: mailParams,
  takesMapping: false,
  plan: planOf,
  async call(ctx, step) {
    const answer = await call(ctx, {
      method: 'POST',
      path: '/drafts',
      effect: 'write',
      json: { message: await messageOf(ctx, step.params) },
    });
    const draft = readJson(answer, z.looseObject({ id: z.string(), message: messageShape }), 'write');
    return resultOf(step, 'draft', draft.id, draft.message);
  },
  async verify(ctx, step, result) {
    const draft = await orNull(getDraft(ctx, result.items[0]!.target!.id));
    return verification(ctx, step, draft?.message ?? null);
  },
  settleAfterMs: 60_000,
  async settle(ctx, step) {
    const recipient = step.params.to[0]!.toLowerCase();
    const { message, exhausted } = await findMessage(ctx, 'drafts', recipient);
    if (message === undefined) {
      return exhausted
        ? { state: 'undetermined', reason: 'too many drafts to this recipient to look into all' }
        : { state: 'not-applied' };
    }
    const query = new URLSearchParams({ q: `in:drafts to:${recipient}`, maxResults: '500' });
    const answer = await call(ctx, { method: 'GET', path: `/drafts?${query.toString()}`, effect: 'read' });
    const draft = readJson(answer, listShape, 'read').drafts?.find((d) => d.message.id === message.id);
    return draft === undefined
      ? { state: 'undetermined', reason: 'the message is there, but no draft that holds it' }
      : { state: 'applied', result: resultOf(step, 'draft', draft.id, message) };
  },
  compensate(_step, _before, result) {
    const draftId = result.items[0]?.target?.id;
    return draftId === undefined ? undefined : { tool: deleteDraft.name, params: { draftId } };
  },
};

const deleteParams = z.strictObject({ draftId: z.string().regex(idPattern) });
type DeleteParams = z.infer<typeof deleteParams>;

/** "Immediately and permanently deletes": a second call finds nothing and fails. */
export const deleteDraft: Tool<DeleteParams> = {
  name: 'gmail.deleteDraft',
  system: 'gmail',
  action: 'message.delete',
  effect: 'irreversible',
  idempotency: 'conditional',
  endpoint: 'DELETE /gmail/v1/users/{userId}/drafts/{id}',
  input: deleteParams,
  takesMapping: false,
  plan: (params) => [{ params, items: [{ target: { kind: 'draft', id: params.draftId } }], fields: [] }],
  async before(ctx, { params }) {
    const draft = await orNull(getDraft(ctx, params.draftId));
    return [draft === null ? null : valuesOf(draft.message)];
  },
  async call(ctx, { params }) {
    readNothing(await call(ctx, { method: 'DELETE', path: `/drafts/${params.draftId}`, effect: 'write' }), 'write');
    return { items: [{ outcome: 'success', target: { kind: 'draft', id: params.draftId } }] };
  },
  async verify(ctx, { params }) {
    const matches = (await orNull(getDraft(ctx, params.draftId))) === null;
    return { matches, items: [{ matches }] };
  },
  settleAfterMs: 60_000,
  async settle(ctx, { params }, before) {
    if (before[0] === null || (await orNull(getDraft(ctx, params.draftId))) !== null) return { state: 'not-applied' };
    return {
      state: 'applied',
      result: { items: [{ outcome: 'success', target: { kind: 'draft', id: params.draftId } }] },
    };
  },
};
