import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageIdOf } from '../../activities/connectors/gmail/compose.ts';
import { startSandbox, type Sandbox } from '../../stack/sandbox/sandbox.ts';
import { contextFor, perform, prepareStep, tool } from './context.ts';

let sandbox: Sandbox;
let keeping: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
  keeping = await startSandbox({ gmailKeepsMessageId: true });
});
afterAll(async () => {
  await sandbox.stop();
  await keeping.stop();
});

const mail = { to: ['buyer@example.com'], subject: 'Offer', text: 'Hello' };
const send = tool('gmail.sendMessage');
const api = (path: string, body?: unknown) =>
  fetch(`${sandbox.urls.gmail}/gmail/v1/users/me${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${sandbox.credentials.gmail.accessToken}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const raw = (text: string) => Buffer.from(text).toString('base64url');

describe('the Gmail connector', () => {
  it('makes each recipient a data subject, once, whatever the case', () => {
    const [step] = send.plan(
      send.input.parse({
        ...mail,
        to: ['A@example.com', 'a@EXAMPLE.com'],
        cc: ['b@example.com'],
        bcc: ['c@example.com', 'b@example.com'],
      }),
    );
    expect(step!.items.map((item) => [item.target!.subject, (item.requested as { role: string }).role])).toEqual([
      [{ system: 'gmail', kind: 'mailbox', id: 'a@example.com' }, 'to'],
      [{ system: 'gmail', kind: 'mailbox', id: 'b@example.com' }, 'cc'],
      [{ system: 'gmail', kind: 'mailbox', id: 'c@example.com' }, 'bcc'],
    ]);
    expect(step!.channel).toEqual({ kind: 'email', id: 'a@example.com' });
  });

  it('sends the same Message-ID on each try of an action, and another for another action', () => {
    const ctx = contextFor(sandbox, 'gmail');
    expect(messageIdOf(ctx)).toBe(messageIdOf({ ...ctx }));
    expect(messageIdOf(ctx)).not.toBe(messageIdOf({ ...ctx, step: 1 }));
    expect(messageIdOf(ctx)).toMatch(/^<trailkeeper\.[0-9a-f-]{36}\.0@sandbox\.example>$/);
  });

  it.each(['overwrites', 'keeps'] as const)('settles a lost answer where Gmail %s the Message-ID', async (does) => {
    const box = does === 'keeps' ? keeping : sandbox;
    const ctx = contextFor(box, 'gmail');
    const { step, before } = await prepareStep(send, ctx, mail);
    expect(await send.settle!(ctx, step, before)).toEqual({ state: 'not-applied' });
    box.faults.gmail.set({ fault: { kind: 'cut', when: 'after' }, on: 'write' });
    await expect(send.call(ctx, step, before)).rejects.toMatchObject({ tookEffect: 'unknown' });
    const stored = box.gmail.peek()[0]!;
    const messageId = stored.part.headers.find((h) => h.name.toLowerCase() === 'message-id')!.value;
    expect(messageId === messageIdOf(ctx)).toBe(does === 'keeps');
    expect(await send.settle!(ctx, step, before)).toMatchObject({
      state: 'applied',
      result: { items: [{ target: { kind: 'message', id: stored.id } }] },
    });
  });

  it('does not take another mail to the same person for its own', async () => {
    await perform(send, contextFor(sandbox, 'gmail'), mail);
    const ctx = contextFor(sandbox, 'gmail');
    const { step, before } = await prepareStep(send, ctx, mail);
    expect(await send.settle!(ctx, step, before)).toEqual({ state: 'not-applied' });
  });

  it('answers in a thread, and reads the thread with its correspondents as subjects', async () => {
    const [first] = sandbox.seed({
      gmail: {
        messages: [
          { from: 'Buyer <buyer@example.com>', to: 'agent@sandbox.example', subject: 'Order', text: 'Where is it?' },
        ],
      },
    }).gmail;
    const read = async () =>
      (await perform(tool('gmail.readThread'), contextFor(sandbox, 'gmail'), { threadId: first!.threadId })).result;
    const { messageId } = (await read()).found![0]!.values as { messageId: string };
    const ctx = contextFor(sandbox, 'gmail');
    const reply = {
      ...mail,
      subject: 'Re: Order',
      text: 'On its way — soon.',
      reply: { threadId: first!.threadId, messageId },
    };
    const { result } = await perform(send, ctx, reply);
    expect(result.response).toMatchObject({ threadId: first!.threadId });
    const { found } = await read();
    expect(found).toMatchObject([
      { values: { text: 'Where is it?' }, target: { subject: { id: 'buyer@example.com' } } },
      {
        values: { text: expect.stringContaining('On its way — soon.'), correlationId: ctx.correlationId },
        target: { subject: { id: 'buyer@example.com' } },
      },
    ]);
  });

  it('refuses a thread that is not there', async () => {
    const reply = { ...mail, reply: { threadId: '1234567890abcdef', messageId: '<a@example.com>' } };
    await expect(perform(send, contextFor(sandbox, 'gmail'), reply)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      tookEffect: 'no',
    });
  });

  it('names no recipient in an error message', async () => {
    sandbox.faults.gmail.set({ fault: { kind: 'status', status: 403 }, on: 'write' });
    const error = (await perform(send, contextFor(sandbox, 'gmail'), mail).catch((e: unknown) => e)) as Error;
    expect(error.message).not.toContain('buyer');
  });
});

describe('the Gmail stand-in', () => {
  it('refuses what Gmail refuses', async () => {
    const reason = async (response: Response) => [
      response.status,
      ((await response.json()) as { error: { errors: { reason: string }[] } }).error.errors[0]!.reason,
    ];
    expect(await reason(await api('/messages/send', {}))).toEqual([400, 'invalidArgument']);
    expect(await reason(await api('/messages/send', { raw: 'not base64 url!' }))).toEqual([400, 'invalidArgument']);
    expect(await reason(await api('/messages/send', { raw: raw('no header line\r\n\r\nx') }))).toEqual([
      400,
      'invalidArgument',
    ]);
    expect(await reason(await api('/messages/send', { raw: raw('Subject: nobody\r\n\r\nx') }))).toEqual([
      400,
      'invalidArgument',
    ]);
    expect(await reason(await api('/messages/send', { raw: raw('To: nobody\r\n\r\nx') }))).toEqual([
      400,
      'invalidArgument',
    ]);
    expect(await reason(await api('/messages/ffff'))).toEqual([404, 'notFound']);
    expect(await reason(await api('/messages/zz.zz'))).toEqual([400, 'invalidArgument']);
    expect(await reason(await api('/labels'))).toEqual([404, 'notFound']);
  });
});
