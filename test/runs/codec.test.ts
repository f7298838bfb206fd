import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { performAction } from '../../api/operations/actions.ts';
import { createCodec } from '../../stack/temporal/codec.ts';
import { testNamespace } from '../setup/servers.ts';
import { agent, openTestRuns, type TestRuns } from './open.ts';

const secrets = new Map<string, Buffer>();
const codec = createCodec((instance) => {
  if (instance === 'away') return Promise.reject(new Error('the keys can not be had'));
  if (!secrets.has(instance)) secrets.set(instance, randomBytes(32));
  return Promise.resolve(secrets.get(instance)!);
});
const context = (workflowId: string) => ({ type: 'workflow', namespace: 'n', workflowId }) as const;
const payload = defaultPayloadConverter.toPayload({ secret: 'canary' });
const read = async (found: Promise<(typeof payload)[]>): Promise<unknown> =>
  defaultPayloadConverter.fromPayload((await found)[0]!);

describe('the codec', () => {
  it('encrypts, differently each time, and opens for the same workflow', async () => {
    const [first] = await codec.encode([payload], context('acme/run/1'));
    const [second] = await codec.encode([payload], context('acme/run/1'));
    expect(Buffer.from(first!.data!)).not.toEqual(Buffer.from(second!.data!));
    expect(Buffer.from(first!.data!).toString('latin1')).not.toContain('canary');
    expect(await read(codec.decode([first!], context('acme/run/1')))).toEqual({ secret: 'canary' });
  });

  it('opens for no other workflow, and for no other instance', async () => {
    const sealed = await codec.encode([payload], context('acme/run/1'));
    for (const other of ['acme/run/2', 'acme/action/1', 'globex/run/1', 'away/run/1', 'acme', ''])
      await expect(read(codec.decode(sealed, context(other)))).rejects.toThrow(/unknown encoding/i);
    await expect(read(codec.decode(sealed))).rejects.toThrow(/unknown encoding/i);
  });

  it('opens for the workflows that a schedule starts, whose ids end in their time', async () => {
    const sealed = await codec.encode([payload], context('acme/review/1'));
    expect(await read(codec.decode(sealed, context('acme/review/1-2026-11-24T11:00:00Z')))).toEqual({
      secret: 'canary',
    });
    await expect(read(codec.decode(sealed, context('acme/review/2-2026-11-24T11:00:00Z')))).rejects.toThrow(
      /unknown encoding/i,
    );
  });

  it('takes nothing that is not encrypted, or was altered', async () => {
    await expect(read(codec.decode([payload], context('acme/run/1')))).rejects.toThrow(/unknown encoding/i);
    const [sealed] = await codec.encode([payload], context('acme/run/1'));
    for (const position of [0, 12, sealed!.data!.length - 1]) {
      const altered = Buffer.from(sealed!.data!);
      altered[position]! ^= 1;
      await expect(read(codec.decode([{ ...sealed, data: altered }], context('acme/run/1')))).rejects.toThrow(
        /unknown encoding/i,
      );
    }
  });

  it('sends nothing that it can not encrypt', async () => {
    for (const nowhere of [undefined, context('no-instance'), context('away/run/1'), context('../run/1')])
      await expect(codec.encode([payload], nowhere)).rejects.toThrow(/no workflow of an instance|can not be had/);
  });
});

describe('workers', () => {
  let test: TestRuns;
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work();
  });
  afterAll(() => test.close());

  it('go on with all other workflows when somebody without the key starts one', async () => {
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const stranger = new Client({ connection, namespace: testNamespace });
    const forged = await stranger.workflow.start('run', {
      workflowId: `${test.control.instance}/run/forged`,
      taskQueue: test.services.taskQueues!.runs,
      args: [{ instance: test.control.instance, actionsMax: 1 }],
    });
    await expect
      .poll(async () => (await forged.fetchHistory()).events?.some((e) => e.workflowTaskFailedEventAttributes), {
        timeout: 60_000,
      })
      .toBe(true);
    const { runId } = await test.run();
    const view = await performAction(test.as(agent), {
      runId,
      tool: 'hubspot.writeNote',
      params: { note: 'undisturbed', text: 'x' },
      waitMs: 60_000,
    });
    expect(view.state).toBe('SUCCEEDED');
    await forged.terminate();
    await connection.close();
  });
});
