/**
 * Comments on an issue; each carries our property.
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/
 */
import { z } from 'zod';
import {
  ConnectorError,
  type CallContext,
  type JsonObject,
  type Settlement,
  type Target,
  type Tool,
} from '../connector.ts';
import { sameValue } from '../readBack.ts';
import { readJson, readNothing } from '../transport/request.ts';
import { actionOf, call, documentOf, issueKey, markOf, propertyKey, textOf } from './client.ts';

const addParams = z.strictObject({
  issue: issueKey,
  /** Plain text; blank lines part paragraphs. */
  text: z.string().trim().min(1).max(30_000),
});
type AddParams = z.infer<typeof addParams>;

const commentShape = z.looseObject({
  id: z.string(),
  body: z.json(),
  author: z.looseObject({ accountId: z.string() }).optional(),
  properties: z.array(z.looseObject({ key: z.string(), value: z.json() })).optional(),
});
type Comment = z.infer<typeof commentShape>;
const pageShape = z.looseObject({ total: z.int(), comments: z.array(commentShape) });

const commentTarget = (issue: string, id: string): Target => ({ kind: 'comment', id: `${issue}/${id}` });

const propertiesOf = (comment: Comment): JsonObject =>
  Object.fromEntries((comment.properties ?? []).map((p) => [p.key, p.value]));

const valuesOf = (comment: Comment): JsonObject => ({
  text: textOf(comment.body),
  [propertyKey]: propertiesOf(comment)[propertyKey] ?? null,
});

async function getComment(ctx: CallContext, issue: string, id: string): Promise<Comment | null> {
  try {
    const path = `/issue/${issue}/comment/${id}?expand=properties`;
    return readJson(await call(ctx, { method: 'GET', path, effect: 'read' }), commentShape, 'read');
  } catch (error) {
    if (error instanceof ConnectorError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

const pageSize = 100;
const pagesMax = 20;

export const addComment: Tool<AddParams> = {
  name: 'jira.addComment',
  system: 'jira',
  action: 'comment.create',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'POST /rest/api/3/issue/{key}/comment',
  input: addParams,
  takesMapping: false,
  plan: (params) => [
    {
      params,
      items: [{ requested: { text: params.text }, sent: { body: documentOf(params.text) } }],
      fields: ['body', propertyKey],
      channel: { kind: 'ticket', id: params.issue },
    },
  ],
  async call(ctx, { params }) {
    const answer = await call(ctx, {
      method: 'POST',
      path: `/issue/${params.issue}/comment`,
      effect: 'write',
      json: { body: documentOf(params.text), properties: markOf(ctx) },
    });
    const comment = readJson(answer, commentShape, 'write');
    return {
      items: [
        {
          outcome: 'success',
          target: commentTarget(params.issue, comment.id),
          after: { text: textOf(comment.body), [propertyKey]: markOf(ctx)[0]!.value },
        },
      ],
      response: { id: comment.id },
    };
  },
  async verify(ctx, { params }, result) {
    const comment = await getComment(ctx, params.issue, result.items[0]!.target!.id.split('/')[1]!);
    if (comment === null) return { matches: false, items: [{ matches: false }] };
    const matches =
      sameValue(textOf(documentOf(params.text)), textOf(comment.body)) &&
      actionOf(propertiesOf(comment)) === ctx.actionId;
    return { matches, items: [{ matches, readBack: valuesOf(comment) }] };
  },
  settleAfterMs: 60_000,
  async settle(ctx, { params }): Promise<Settlement> {
    for (let page = 0; page < pagesMax; page += 1) {
      const query = `startAt=${page * pageSize}&maxResults=${pageSize}&orderBy=-created&expand=properties`;
      const path = `/issue/${params.issue}/comment?${query}`;
      const { comments, total } = readJson(await call(ctx, { method: 'GET', path, effect: 'read' }), pageShape, 'read');
      const found = comments.find((comment) => actionOf(propertiesOf(comment)) === ctx.actionId);
      if (found !== undefined) {
        const target = commentTarget(params.issue, found.id);
        return {
          state: 'applied',
          result: { items: [{ outcome: 'success', target, after: valuesOf(found) }], response: { id: found.id } },
        };
      }
      if ((page + 1) * pageSize >= total) return { state: 'not-applied' };
    }
    return { state: 'undetermined', reason: `not among the newest ${pagesMax * pageSize} comments` };
  },
  compensate(_step, _before, result) {
    const [issue, comment] = result.items[0]?.target?.id.split('/') ?? [];
    return issue === undefined || comment === undefined
      ? undefined
      : { tool: deleteComment.name, params: { issue, comment } };
  },
};

const deleteParams = z.strictObject({ issue: issueKey, comment: z.string().regex(/^\d{1,20}$/) });
type DeleteParams = z.infer<typeof deleteParams>;

/** A second call finds nothing and fails; there is no way back, but the text is in the before-values. */
export const deleteComment: Tool<DeleteParams> = {
  name: 'jira.deleteComment',
  system: 'jira',
  action: 'message.delete',
  effect: 'irreversible',
  idempotency: 'conditional',
  endpoint: 'DELETE /rest/api/3/issue/{key}/comment/{id}',
  input: deleteParams,
  takesMapping: false,
  plan: (params) => [
    {
      params,
      items: [{ target: commentTarget(params.issue, params.comment) }],
      fields: [],
      channel: { kind: 'ticket', id: params.issue },
    },
  ],
  async before(ctx, { params }) {
    const comment = await getComment(ctx, params.issue, params.comment);
    return [comment === null ? null : valuesOf(comment)];
  },
  async call(ctx, { params }) {
    const path = `/issue/${params.issue}/comment/${params.comment}`;
    readNothing(await call(ctx, { method: 'DELETE', path, effect: 'write' }), 'write');
    return { items: [{ outcome: 'success', target: commentTarget(params.issue, params.comment) }] };
  },
  async verify(ctx, { params }) {
    const matches = (await getComment(ctx, params.issue, params.comment)) === null;
    return { matches, items: [{ matches }] };
  },
  settleAfterMs: 60_000,
  async settle(ctx, { params }, before) {
    if (before[0] === null || (await getComment(ctx, params.issue, params.comment)) !== null) {
      return { state: 'not-applied' };
    }
    const target = commentTarget(params.issue, params.comment);
    return { state: 'applied', result: { items: [{ outcome: 'success', target }] } };
  },
};
