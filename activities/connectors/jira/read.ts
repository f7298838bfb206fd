/** Reading an issue. https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-issueidorkey-get */
import { z } from 'zod';
import type { Tool } from '../connector.ts';
import { getIssue, issueKey, targetOf } from './client.ts';
import { recorded } from './fields.ts';

const fieldNames = [
  'summary',
  'description',
  'status',
  'labels',
  'priority',
  'assignee',
  'duedate',
  'issuetype',
] as const;

const params = z.strictObject({
  issue: issueKey,
  fields: z
    .array(z.enum(fieldNames))
    .min(1)
    .default([...fieldNames]),
});
type Params = z.infer<typeof params>;

export const readIssue: Tool<Params> = {
  name: 'jira.readIssue',
  system: 'jira',
  action: 'record.read',
  effect: 'read',
  idempotency: 'none',
  endpoint: 'GET /rest/api/3/issue/{key}',
  input: params,
  takesMapping: false,
  plan: (p) => [
    {
      params: p,
      items: [{ target: targetOf(p.issue) }],
      fields: p.fields,
      channel: { kind: 'ticket', id: p.issue },
    },
  ],
  async call(ctx, { params: p }) {
    const issue = await getIssue(ctx, p.issue, p.fields);
    const target = targetOf(p.issue);
    return issue === null
      ? { items: [{ outcome: 'failure', target, error: { code: 'NOT_FOUND', httpStatus: 404 } }] }
      : { items: [{ outcome: 'success', target, after: recorded(issue, p.fields) }], response: { id: issue.id } };
  },
};
