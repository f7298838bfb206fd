import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSandbox, type Sandbox } from '../../stack/sandbox/sandbox.ts';
import { contextFor, perform, prepareStep, tool } from './context.ts';
import { postedMessage } from './scenarios/slack.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox({
    channels: [{ name: 'sales' }, { name: 'vip', private: true }, { name: 'random', appIsMember: false }],
  });
});
afterAll(() => sandbox.stop());

const context = () => contextFor(sandbox, 'slack');
const sales = () => sandbox.slack.channelId('sales');
const web = async (method: string, parameters: Record<string, string>, token = sandbox.credentials.slack.botToken) => {
  const response = await fetch(`${sandbox.urls.slack}/api/${method}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: new URLSearchParams(parameters),
  });
  return (await response.json()) as { ok: boolean; error?: string; messages?: Record<string, unknown>[] };
};

describe('the Slack connector', () => {
  it('names the channel, and for a direct message the person', () => {
    const t = tool('slack.postMessage');
    const plan = (channel: string) => t.plan(t.input.parse({ channel, text: 'x' }))[0]!;
    expect(plan('C0123456789')).toMatchObject({
      channel: { kind: 'chat', id: 'C0123456789' },
      items: [{ requested: { text: 'x' } }],
    });
    expect(plan('U0123456789').items[0]!.target?.subject).toEqual({ system: 'slack', kind: 'user', id: 'U0123456789' });
  });

  it('posts to a private channel that the app is in, and not where it is not', async () => {
    const post = (name: string) =>
      perform(tool('slack.postMessage'), context(), { channel: sandbox.slack.channelId(name), text: 'x' });
    expect((await post('vip')).result.items[0]!.outcome).toBe('success');
    await expect(post('random')).rejects.toMatchObject({ code: 'FORBIDDEN', tookEffect: 'no', httpStatus: 200 });
    await expect(post('nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND', tookEffect: 'no' });
  });

  it('replies in a thread, finds, verifies and settles the reply there', async () => {
    const { channel, ts: threadTs } = await postedMessage(sandbox, 'parent');
    const t = tool('slack.postMessage');
    const ctx = context();
    const { step, before, result } = await perform(t, ctx, { channel, text: 'reply', threadTs });
    expect(await t.verify!(ctx, step, result)).toMatchObject({ matches: true });
    expect(await t.settle!(ctx, step, before)).toMatchObject({
      state: 'applied',
      result: { items: [{ target: result.items[0]!.target }] },
    });
    const undo = t.compensate!(step, before, result)!;
    const undone = await perform(tool(undo.tool), context(), undo.params);
    expect(undone.before[0]).toMatchObject({ text: 'reply' });
    expect(await t.verify!(ctx, step, result)).toMatchObject({ matches: false });
  });

  it('finds its message among many, and does not take those of others for it', async () => {
    const t = tool('slack.postMessage');
    const ctx = context();
    const { step, before } = await prepareStep(t, ctx, { channel: sales(), text: 'the same text' });
    for (let i = 0; i < 5; i += 1) await postedMessage(sandbox, 'the same text');
    expect(await t.settle!(ctx, step, before)).toEqual({ state: 'not-applied' });
    await t.call(ctx, step, before);
    for (let i = 0; i < 5; i += 1) await postedMessage(sandbox, 'the same text');
    expect(await t.settle!(ctx, step, before)).toMatchObject({ state: 'applied' });
  });

  it('does not guess about an update that a later one wrote over', async () => {
    const at = await postedMessage(sandbox, 'one');
    const t = tool('slack.updateMessage');
    const ctx = context();
    const { step, before } = await prepareStep(t, ctx, { ...at, text: 'two' });
    await perform(t, context(), { ...at, text: 'three' });
    expect(await t.settle!(ctx, step, before)).toMatchObject({ state: 'undetermined' });
  });

  it.each([
    ['internal_error', 500],
    ['ratelimited', 429],
  ] as const)('takes %s for what it is', async (_name, status) => {
    sandbox.faults.slack.set({ fault: { kind: 'status', status, retryAfter: '2' } });
    await expect(perform(tool('slack.postMessage'), context(), { channel: sales(), text: 'x' })).rejects.toMatchObject({
      retryAfterMs: 2000,
      tookEffect: status === 500 ? 'unknown' : 'no',
    });
  });

  it('reads history with authors as subjects, page by page', async () => {
    await postedMessage(sandbox, 'first of two');
    await postedMessage(sandbox, 'second of two');
    const read = (more: Record<string, string | number>) =>
      perform(tool('slack.readHistory'), context(), { channel: sales(), ...more });
    const first = (await read({ limit: 1 })).result;
    expect(first.found).toMatchObject([
      { target: { kind: 'message', subject: { kind: 'user', id: 'U0SANDBOX' } }, values: { text: 'second of two' } },
    ]);
    const { nextCursor } = first.response as { nextCursor: string };
    expect((await read({ limit: 1, cursor: nextCursor })).result.found).toMatchObject([
      { values: { text: 'first of two' } },
    ]);
  });
});

describe('the gate before the Slack emulator', () => {
  it('refuses what the emulator lets through', async () => {
    const channel = sales();
    expect(await web('auth.test', {}, 'xoxb-unknown')).toMatchObject({ ok: false, error: 'invalid_auth' });
    expect(await web('chat.postMessage', { channel: sandbox.slack.channelId('random'), text: 'x' })).toMatchObject({
      error: 'not_in_channel',
    });
    expect(await web('chat.postMessage', { channel, text: 'x', metadata: 'nope' })).toMatchObject({
      error: 'invalid_metadata_format',
    });
    expect(await web('chat.postMessage', { channel, text: 'x', metadata: '{"event_type":"a"}' })).toMatchObject({
      error: 'metadata_must_be_sent_with_event_type_and_payload',
    });
    expect(await web('admin.users.list', {})).toMatchObject({ error: 'unknown_method' });
    expect(
      await web('chat.postMessage', { channel, text: 'x' }, sandbox.readOnlyCredentials.slack.botToken),
    ).toMatchObject({ error: 'missing_scope' });
  });

  it('gives metadata only where it is asked for, and only what lies in the window', async () => {
    const { channel, ts } = await postedMessage(sandbox, 'with metadata');
    const later = await postedMessage(sandbox, 'later');
    const history = (more: Record<string, string>) => web('conversations.history', { channel, ...more });
    const bare = (await history({ latest: ts, oldest: ts, inclusive: 'true' })).messages!;
    expect(bare).toMatchObject([{ ts, metadata: { event_type: 'trailkeeper_action' } }]);
    expect(JSON.stringify(bare)).not.toContain('event_payload');
    expect(JSON.stringify((await history({ include_all_metadata: 'true' })).messages)).toContain('event_payload');
    expect((await history({ oldest: ts })).messages!.map((m) => m['ts'])).toEqual([later.ts]);
    expect(await history({ oldest: 'yesterday' })).toMatchObject({ error: 'invalid_ts_oldest' });
  });
});
