import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSandbox, type Sandbox } from '../../stack/sandbox/sandbox.ts';
import { contextFor, perform, tool } from './context.ts';
import { postedMessage } from './scenarios/slack.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sandbox-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

async function withSandbox<T>(
  options: Parameters<typeof startSandbox>[0],
  use: (sandbox: Sandbox) => Promise<T>,
): Promise<T> {
  const sandbox = await startSandbox(options);
  try {
    return await use(sandbox);
  } finally {
    await sandbox.stop();
  }
}

describe('the sandbox', () => {
  it('keeps state, ids and change logs in its folder from one start to the next', async () => {
    const path = join(dir, 'kept');
    const kept = await withSandbox({ dir: path }, async (sandbox) => {
      expect(sandbox.restored).toBe(false);
      const seeded = sandbox.seed({
        salesforce: { contacts: 2 },
        gmail: { messages: [{ from: 'a@example.com', to: 'agent@sandbox.example', subject: 'Hi', text: 'x' }] },
        jira: { projects: [{ key: 'OPS', name: 'Ops' }], issues: [{ project: 'OPS', summary: 'One' }] },
      });
      const message = await postedMessage(sandbox, 'kept & restored');
      await perform(tool('gmail.createDraft'), contextFor(sandbox, 'gmail'), {
        to: ['b@example.com'],
        subject: 's',
        text: 't',
      });
      return {
        seeded,
        message,
        logs: sandbox.changes('slack'),
        contact: sandbox.salesforce.peek('Contact', seeded.salesforce[0]!),
      };
    });
    await withSandbox({ dir: path }, async (sandbox) => {
      expect(sandbox.restored).toBe(true);
      expect(sandbox.salesforce.peek('Contact', kept.seeded.salesforce[0]!)).toEqual(kept.contact);
      expect(sandbox.jira.peek('OPS-1')).toMatchObject({ fields: { summary: 'One' } });
      expect(sandbox.gmail.peek().map((m) => m.labelIds)).toEqual([['DRAFT'], ['INBOX']]);
      expect(sandbox.changes('slack')).toEqual(kept.logs);
      expect((await sandbox.slack.peek(kept.message.channel)).map((m) => [m['ts'], m['text']])).toEqual([
        [kept.message.ts, 'kept & restored'],
      ]);
      // What was restored can be changed under the id that it had.
      const update = { ...kept.message, text: 'changed' };
      const ctx = contextFor(sandbox, 'slack');
      const t = tool('slack.updateMessage');
      const { step, before, result } = await perform(t, ctx, update);
      expect(before).toMatchObject([{ text: 'kept & restored', metadata: { event_type: 'trailkeeper_action' } }]);
      expect(await t.verify!(ctx, step, result)).toMatchObject({ matches: true });
      // New ids do not meet old ones.
      expect(sandbox.seed({ jira: { issues: [{ project: 'OPS', summary: 'Two' }] } }).jira).toEqual(['OPS-2']);
      expect(kept.seeded.salesforce).not.toContain(sandbox.seed({ salesforce: { contacts: 1 } }).salesforce[0]);
    });
  });

  it('writes who changed what, when, from what to what, in a log of its own', () =>
    withSandbox({ now: () => new Date('2026-11-24T10:00:00Z') }, async (sandbox) => {
      const [id] = sandbox.seed({ salesforce: { contacts: 1 } }).salesforce;
      const last = sandbox.changes('salesforce').length;
      const fields = { Title: 'Chief' };
      await perform(tool('salesforce.restoreRecords'), contextFor(sandbox, 'salesforce'), {
        object: 'Contact',
        records: [{ id: id!, fields }],
      });
      sandbox.salesforce.touch('Contact', id!, { Title: 'By hand' }, 'a person');
      expect(sandbox.changes('salesforce', last)).toMatchObject([
        {
          sequence: last + 1,
          vendor: 'salesforce',
          at: '2026-11-24T10:00:00.000Z',
          by: '005Tk0000000001AAA',
          operation: 'update',
          kind: 'Contact',
          id,
          fields: { Title: { from: 'Buyer', to: 'Chief' } },
        },
        { sequence: last + 2, by: 'a person', fields: { Title: { from: 'Chief', to: 'By hand' } } },
      ]);
    }));

  it('gives logs, takes seeds and faults over its control path, and refuses what is none', () =>
    withSandbox({}, async (sandbox) => {
      const control = (path: string, init?: RequestInit) => fetch(`${sandbox.controlUrl}${path}`, init);
      const post = (path: string, body: unknown) => control(path, { method: 'POST', body: JSON.stringify(body) });
      expect(await (await post('/seed', { salesforce: { contacts: 3 } })).json()).toMatchObject({
        salesforce: { length: 3 },
      });
      const { changes } = (await (await control('/changes/salesforce?after=2')).json()) as {
        changes: { sequence: number }[];
      };
      expect(changes.map((c) => c.sequence)).toEqual([3]);
      expect(
        (await post('/faults/jira', { fault: { kind: 'status', status: 503 }, calls: 2, on: 'write' })).status,
      ).toBe(204);
      expect(sandbox.faults.jira.pending()).toMatchObject([{ calls: 2, on: 'write' }]);
      expect((await control('/faults/jira', { method: 'DELETE' })).status).toBe(204);
      expect(sandbox.faults.jira.pending()).toEqual([]);
      expect((await post('/faults/jira', { fault: { kind: 'gremlins' } })).status).toBe(400);
      expect((await post('/seed', { salesforce: { contacts: -1 } })).status).toBe(400);
      expect((await control('/changes/hubspot')).status).toBe(404);
      expect((await control('/changes/jira', { headers: { origin: 'https://example.com' } })).status).toBe(403);
    }));

  it('fails so many calls as it is told, of the kind that it is told', () =>
    withSandbox({}, async (sandbox) => {
      const [id] = sandbox.seed({ salesforce: { contacts: 1 } }).salesforce;
      sandbox.faults.salesforce.set({ fault: { kind: 'status', status: 503 }, calls: 2, on: 'write' });
      const read = () =>
        perform(tool('salesforce.readRecords'), contextFor(sandbox, 'salesforce'), {
          object: 'Contact',
          ids: [id!],
          fields: ['Title'],
        });
      const write = () =>
        perform(tool('salesforce.restoreRecords'), contextFor(sandbox, 'salesforce'), {
          object: 'Contact',
          records: [{ id: id!, fields: { Title: 'x' } }],
        });
      await expect(write()).rejects.toMatchObject({ httpStatus: 503 });
      expect((await read()).result.items[0]!.outcome).toBe('success');
      await expect(write()).rejects.toMatchObject({ httpStatus: 503 });
      expect((await write()).result.items[0]!.outcome).toBe('success');
    }));

  it('leaves nothing running where a port is taken', () =>
    withSandbox({}, async (sandbox) => {
      const taken = Number(new URL(sandbox.urls.jira).port);
      await expect(startSandbox({ ports: { gmail: taken } })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    }));

  it('runs as a process of its own, and ends when it is told', async () => {
    const child = spawn(process.execPath, ['stack/sandbox/main.ts'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { control, salesforce } = JSON.parse(line) as Record<string, string>;
    expect((await fetch(`${control}/changes/gmail`)).status).toBe(200);
    expect((await fetch(`${salesforce}/services/data/v62.0/query?q=x`)).status).toBe(401);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});
