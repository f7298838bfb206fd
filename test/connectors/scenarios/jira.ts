import type { CallResult, Json } from '../../../activities/connectors/connector.ts';
import type { Sandbox } from '../../../stack/sandbox/sandbox.ts';
import { contextFor, perform, tool } from '../context.ts';
import type { Scenario } from './scenario.ts';

export function newIssue(sandbox: Sandbox): string {
  const [key] = sandbox.seed({
    jira: {
      projects: [{ key: 'OPS', name: 'Operations' }],
      issues: [{ project: 'OPS', summary: 'Old', labels: ['keep'] }],
    },
  }).jira;
  return key!;
}

const correlationOf = (sandbox: Sandbox, key: string): Json | undefined =>
  (sandbox.jira.peek(key)?.properties['trailkeeper'] as { correlationId?: string } | undefined)?.correlationId;

const issueMarks = async (sandbox: Sandbox, result: CallResult) =>
  result.items.map((item) => correlationOf(sandbox, item.target!.id));

/** What people see of an issue: not our property. */
const visible = (sandbox: Sandbox, key: string) => async (): Promise<Json> => {
  const issue = sandbox.jira.peek(key);
  return issue === undefined ? null : { fields: issue.fields, status: issue.status, comments: issue.comments.length };
};

export const jiraScenarios: readonly Scenario[] = [
  {
    tool: 'jira.createIssue',
    prepare: async (sandbox) => {
      newIssue(sandbox);
      return {
        params: {
          project: 'OPS',
          fields: {
            summary: 'Check 300 contacts',
            description: 'Phones moved.\n\nSee\nthe run.',
            labels: ['sales', 'crm'],
          },
        },
        state: async () => sandbox.changes('jira').filter((c) => c.kind === 'issue' && sandbox.jira.peek(c.id)).length,
      };
    },
    marks: issueMarks,
    refused: [
      { project: 'ops', fields: { summary: 'x' } },
      { project: 'OPS', fields: { summary: 'two\nlines' } },
      { project: 'OPS', fields: { summary: 'x', labels: ['has blank'] } },
      { project: 'OPS', fields: { summary: 'x', labels: ['trailkeeper-action-forged'] } },
      { project: 'OPS', fields: { summary: 'x', customfield_1: 1 } },
    ],
  },
  {
    tool: 'jira.updateIssue',
    prepare: async (sandbox) => {
      const key = newIssue(sandbox);
      return {
        params: { issue: key, fields: { summary: 'New', description: 'Why', labels: ['b', 'a'], priority: 'High' } },
        state: visible(sandbox, key),
      };
    },
    marks: issueMarks,
    refused: [
      { issue: 'OPS-1', fields: {} },
      { issue: 'OPS-1/../OPS-2', fields: { summary: 'x' } },
      { issue: 'OPS-1', fields: { status: 'Done' } },
    ],
  },
  {
    tool: 'jira.transitionIssue',
    prepare: async (sandbox) => {
      const key = newIssue(sandbox);
      return { params: { issue: key, status: 'in progress' }, state: visible(sandbox, key) };
    },
    marks: issueMarks,
    refused: [{ issue: 'OPS-1' }, { issue: 'OPS-1', status: '' }],
  },
  {
    tool: 'jira.addComment',
    prepare: async (sandbox) => {
      const key = newIssue(sandbox);
      return { params: { issue: key, text: 'First line\nsecond\n\nNext paragraph' }, state: visible(sandbox, key) };
    },
    marks: async (sandbox, result) => {
      const [key, id] = result.items[0]!.target!.id.split('/');
      const comment = sandbox.jira.peek(key!)!.comments.find((c) => c.id === id)!;
      return [(comment.properties['trailkeeper'] as { correlationId: string }).correlationId];
    },
    refused: [
      { issue: 'OPS-1', text: ' ' },
      { issue: '1', text: 'x' },
    ],
  },
  {
    tool: 'jira.deleteComment',
    prepare: async (sandbox) => {
      const issue = newIssue(sandbox);
      const { result } = await perform(tool('jira.addComment'), contextFor(sandbox, 'jira'), {
        issue,
        text: 'gone soon',
      });
      return { params: { issue, comment: result.items[0]!.target!.id.split('/')[1]! } };
    },
    refused: [{ issue: 'OPS-1', comment: 'x' }, { issue: 'OPS-1' }],
  },
  {
    tool: 'jira.deleteIssue',
    prepare: async (sandbox) => ({ params: { issue: newIssue(sandbox) } }),
    refused: [{ issue: '10001' }, {}],
  },
  {
    tool: 'jira.readIssue',
    prepare: async (sandbox) => ({ params: { issue: newIssue(sandbox), fields: ['summary', 'status', 'labels'] } }),
    refused: [{ issue: 'OPS-1', fields: ['comment'] }, {}],
  },
];
