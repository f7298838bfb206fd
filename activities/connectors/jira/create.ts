/**
 * Creating and deleting an issue.
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post
 */
import { z } from 'zod';
import type { Tool } from '../connector.ts';
import { readJson, readNothing } from '../transport/request.ts';
import {
  actionOf,
  call,
  getIssue,
  issueKey,
  issuesWithLabel,
  labelsOf,
  markOf,
  propertyKey,
  targetOf,
} from './client.ts';
import { given, isAsWritten, newFields, recorded, toVendor } from './fields.ts';

const createParams = z.strictObject({
  project: z.string().regex(/^[A-Z][A-Z0-9_]{1,20}$/),
  issueType: z.string().min(1).max(64).default('Task'),
  fields: newFields,
});
type CreateParams = z.infer<typeof createParams>;

const written = ({ fields }: CreateParams): string[] => Object.keys(given(fields));

export const createIssue: Tool<CreateParams> = {
  name: 'jira.createIssue',
  system: 'jira',
  action: 'record.create',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'POST /rest/api/3/issue',
  input: createParams,
  takesMapping: false,
  plan: (params) => [
    {
      params,
      items: [{ requested: given(params.fields), sent: toVendor(params.fields) }],
      fields: [...new Set([...written(params), 'labels', propertyKey])],
      channel: { kind: 'ticket', id: params.project },
    },
  ],
  async call(ctx, { params }) {
    const labels = labelsOf(ctx);
    const answer = await call(ctx, {
      method: 'POST',
      path: '/issue',
      effect: 'write',
      json: {
        fields: {
          ...toVendor(params.fields),
          project: { key: params.project },
          issuetype: { name: params.issueType },
          labels: [...(params.fields.labels ?? []), labels.action, labels.correlation],
        },
        properties: markOf(ctx),
      },
    });
    const { id, key } = readJson(answer, z.looseObject({ id: z.string(), key: issueKey }), 'write');
    return {
      items: [
        {
          outcome: 'success',
          target: targetOf(key),
          after: { ...given(params.fields), [propertyKey]: markOf(ctx)[0]!.value },
        },
      ],
      response: { id, key },
    };
  },
  async verify(ctx, { params }, result) {
    const names = written(params);
    const issue = await getIssue(ctx, result.items[0]!.target!.id, [...names, 'issuetype']);
    if (issue === null) return { matches: false, items: [{ matches: false }] };
    const matches = isAsWritten(ctx, given(params.fields), issue, names);
    return { matches, items: [{ matches, readBack: recorded(issue, names) }] };
  },
  // search-and-reconcile: what was written may take "from a few seconds to minutes" to be found.
  settleAfterMs: 300_000,
  async settle(ctx, { params }) {
    const found = await issuesWithLabel(ctx, labelsOf(ctx).action, written(params));
    // People may copy labels to other issues; our property they don't see.
    const issue = found.find((i) => actionOf(i.properties) === ctx.actionId);
    if (issue !== undefined) {
      const after = recorded(issue, written(params));
      return {
        state: 'applied',
        result: {
          items: [{ outcome: 'success', target: targetOf(issue.key), after }],
          response: { id: issue.id, key: issue.key },
        },
      };
    }
    return found.length === 0
      ? { state: 'not-applied' }
      : { state: 'undetermined', reason: 'issues carry the label of this action, but none its property' };
  },
  compensate(_step, _before, result) {
    const issue = result.items[0]?.target?.id;
    return issue === undefined ? undefined : { tool: deleteIssue.name, params: { issue } };
  },
};

const deleteParams = z.strictObject({ issue: issueKey });
type DeleteParams = z.infer<typeof deleteParams>;

const keptFields = ['summary', 'description', 'status', 'labels', 'priority', 'assignee', 'duedate', 'issuetype'];

/** An issue with subtasks is refused by Jira. A second call finds nothing and fails; there is no way back. */
export const deleteIssue: Tool<DeleteParams> = {
  name: 'jira.deleteIssue',
  system: 'jira',
  action: 'record.delete',
  effect: 'irreversible',
  idempotency: 'conditional',
  endpoint: 'DELETE /rest/api/3/issue/{key}',
  input: deleteParams,
  takesMapping: false,
  plan: (params) => [
    {
      params,
      items: [{ target: targetOf(params.issue) }],
      fields: [],
      channel: { kind: 'ticket', id: params.issue },
    },
  ],
  async before(ctx, { params }) {
    const issue = await getIssue(ctx, params.issue, keptFields);
    return [issue === null ? null : recorded(issue, keptFields)];
  },
  async call(ctx, { params }) {
    readNothing(await call(ctx, { method: 'DELETE', path: `/issue/${params.issue}`, effect: 'write' }), 'write');
    return { items: [{ outcome: 'success', target: targetOf(params.issue) }] };
  },
  async verify(ctx, { params }) {
    const matches = (await getIssue(ctx, params.issue, ['summary'])) === null;
    return { matches, items: [{ matches }] };
  },
  settleAfterMs: 60_000,
  async settle(ctx, { params }, before) {
    if (before[0] === null || (await getIssue(ctx, params.issue, ['summary'])) !== null)
      return { state: 'not-applied' };
    return { state: 'applied', result: { items: [{ outcome: 'success', target: targetOf(params.issue) }] } };
  },
};
