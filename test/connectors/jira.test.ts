import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { documentOf, textOf } from '../../activities/connectors/jira/client.ts';
import { startSandbox, type Sandbox } from '../../stack/sandbox/sandbox.ts';
import { contextFor, perform, prepareStep, tool } from './context.ts';
import { newIssue } from './scenarios/jira.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.stop());

const context = () => contextFor(sandbox, 'jira');
const api = (path: string, init: { method?: string; body?: unknown } = {}) => {
  const { email, apiToken } = sandbox.credentials.jira;
  return fetch(`${sandbox.urls.jira}/rest/api/3${path}`, {
    method: init.method ?? 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${email}:${apiToken}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  });
};

describe('the Jira connector', () => {
  it('turns text into a document and back', () => {
    const text = 'First line\nsecond line\n\nNext paragraph';
    expect(textOf(documentOf(text))).toBe(text);
    expect(documentOf('a')).toEqual({
      type: 'doc',
      version: 1,
      content: [{ type: 'paragraph', content: [{ type: 'text', text: 'a' }] }],
    });
  });

  it('marks a new issue with labels that can be searched and a property that nobody sees', async () => {
    newIssue(sandbox);
    const ctx = context();
    const { result } = await perform(tool('jira.createIssue'), ctx, { project: 'OPS', fields: { summary: 'Marked' } });
    const issue = sandbox.jira.peek(result.items[0]!.target!.id)!;
    expect(issue.fields['labels']).toEqual([`trailkeeper-action-${ctx.actionId}`, `trailkeeper-${ctx.correlationId}`]);
    expect(issue.properties['trailkeeper']).toEqual({
      correlationId: ctx.correlationId,
      actionId: ctx.actionId,
      step: 0,
    });
  });

  it('keeps the labels of the creation when others are set', async () => {
    newIssue(sandbox);
    const ctx = context();
    const { result } = await perform(tool('jira.createIssue'), ctx, {
      project: 'OPS',
      fields: { summary: 'Kept', labels: ['old'] },
    });
    const issue = result.items[0]!.target!.id;
    await perform(tool('jira.updateIssue'), context(), { issue, fields: { labels: ['new'] } });
    expect(sandbox.jira.peek(issue)!.fields['labels']).toEqual([
      'new',
      `trailkeeper-action-${ctx.actionId}`,
      `trailkeeper-${ctx.correlationId}`,
    ]);
  });

  it('does not take an issue to which its label was copied for its own', async () => {
    const key = newIssue(sandbox);
    const t = tool('jira.createIssue');
    const ctx = context();
    const { step, before } = await prepareStep(t, ctx, { project: 'OPS', fields: { summary: 'Mine' } });
    await api(`/issue/${key}`, {
      method: 'PUT',
      body: { update: { labels: [{ add: `trailkeeper-action-${ctx.actionId}` }] } },
    });
    expect(await t.settle!(ctx, step, before)).toMatchObject({ state: 'undetermined' });
  });

  it('says which statuses can be reached where the one asked for can not', async () => {
    const issue = newIssue(sandbox);
    await expect(perform(tool('jira.transitionIssue'), context(), { issue, status: 'Done' })).rejects.toMatchObject({
      code: 'CONFLICT',
      tookEffect: 'no',
      detail: expect.stringContaining('In Progress'),
    });
  });

  it('does not guess about an update that a later one wrote over', async () => {
    const issue = newIssue(sandbox);
    const t = tool('jira.updateIssue');
    const ctx = context();
    const { step, before } = await prepareStep(t, ctx, { issue, fields: { summary: 'two' } });
    await perform(t, context(), { issue, fields: { summary: 'three' } });
    expect(await t.settle!(ctx, step, before)).toMatchObject({ state: 'undetermined' });
  });

  it('answers a read of an issue that is not there with NOT_FOUND for it', async () => {
    const { result } = await perform(tool('jira.readIssue'), context(), { issue: 'OPS-99999' });
    expect(result.items).toMatchObject([
      { outcome: 'failure', target: { id: 'OPS-99999' }, error: { code: 'NOT_FOUND' } },
    ]);
  });
});

describe('the Jira stand-in', () => {
  it('refuses what Jira refuses', async () => {
    const key = newIssue(sandbox);
    const fields = { project: { key: 'OPS' }, issuetype: { name: 'Task' }, summary: 'x' };
    const errors = async (response: Response) => {
      const body = (await response.json()) as { errors: Record<string, string>; errorMessages: string[] };
      return [response.status, ...Object.keys(body.errors), ...body.errorMessages.map((m) => m.split(' ')[0])];
    };
    const create = async (more: object) => errors(await api('/issue', { body: { fields: { ...fields, ...more } } }));
    expect(await create({ project: { key: 'NOPE' } })).toEqual([400, 'project']);
    expect(await create({ description: 'plain text' })).toEqual([400, 'description']);
    expect(await create({ labels: ['two words'] })).toEqual([400, 'labels']);
    expect(await create({ customfield_10000: 'x' })).toEqual([400, 'customfield_10000']);
    expect(await create({ issuetype: { name: 'Saga' } })).toEqual([400, 'issuetype']);
    expect(await errors(await api('/issue/OPS-99999', { method: 'GET' }))).toEqual([404, 'Issue']);
    expect(await errors(await api(`/issue/${key}/transitions`, { body: { transition: { id: '31' } } }))).toEqual([
      400,
      'It',
    ]);
    expect(await errors(await api(`/issue/${key}/comment`, { body: { body: 'plain' } }))).toEqual([400, 'comment']);
    expect(await errors(await api('/search/jql', { body: { jql: 'ORDER BY created' } }))).toEqual([400, 'Unbounded']);
    expect(
      await errors(await api('/search/jql', { body: { jql: 'issue.property[trailkeeper].actionId = "x"' } })),
    ).toEqual([400, 'Field']);
    expect(await errors(await api('/search/jql', { body: { jql: 'reporter = me() OR x = 1' } }))).toEqual([
      400,
      'Error',
    ]);
  });
});
