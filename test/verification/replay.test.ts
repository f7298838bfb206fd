/**
 * Saved histories run through the workflows of self-verification as they are now: a change that running workflows would
 * not survive fails here. To record new ones (after adding a case, never to make a failure go away):
 *   WRITE_HISTORIES=1 npx vitest run test/verification/replay.test.ts
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CheckInput, RepairInput } from '../../domain/verification/contract.ts';
import type { PrincipalId } from '../../schema/ids.ts';
import type { TemporalKeys } from '../../stack/temporal/codec.ts';
import { dataConverter } from '../../stack/temporal/dataConverter.ts';
import { bundleWorkflows } from '../../stack/temporal/workers.ts';
import { historiesOf } from '../runs/histories.ts';
import { openTestLog } from './open.ts';
import { openTestWork } from './work.ts';

const folder = join(import.meta.dirname, 'histories');
/** Of the saved histories: no secret of anybody. */
const keys: TemporalKeys = (instance) => Promise.resolve(createHash('sha256').update(`test ${instance}`).digest());

interface Saved {
  readonly workflowId: string;
  readonly history: { readonly events: readonly Record<string, unknown>[] };
}

const saved = (): [string, Saved][] =>
  readdirSync(folder).map((name) => [name, JSON.parse(readFileSync(join(folder, name), 'utf8')) as Saved]);

const withoutMachine = (key: string, value: unknown): unknown =>
  typeof value === 'string' && /^(identity|name|normalName)$/.test(key)
    ? value.replaceAll(hostname(), 'machine')
    : value;

const writeHistories = async (): Promise<void> => {
  mkdirSync(folder, { recursive: true });
  const test = await openTestLog();
  await test.appendBatches([300, 300]);
  const work = await openTestWork(test, keys);
  await work.work();
  const requestedBy = { principal: 'ana' as PrincipalId, kind: 'human' } as const;
  const save = async (name: string, workflow: string, input: CheckInput | RepairInput) => {
    const workflowId = `${test.instance}/verification/${name}`;
    const { taskQueues, temporal } = work;
    await temporal.workflow.execute(workflow, { workflowId, taskQueue: taskQueues.maintenance, args: [input] });
    for (const [position, history] of (await historiesOf(temporal, [workflowId])).entries()) {
      const events = JSON.parse(historyToJSON(history), withoutMachine) as Saved['history'];
      const content: Saved = { workflowId, history: events };
      writeFileSync(join(folder, `${name}-${position + 1}.json`), `${JSON.stringify(content)}\n`);
    }
  };
  const { instance } = test;
  await save('full', 'selfVerification', { instance, kind: 'full', requestedBy, stepsPerHistory: 4 });
  await save('sample', 'selfVerification', { instance, kind: 'sample' });
  await test.as('events').deleteOne({ _id: 3 as never });
  await save('differing', 'selfVerification', { instance, kind: 'full' });
  await save('repair', 'repairProjections', { instance, requestedBy, repair: randomUUID(), stepsPerHistory: 2 });
  await work.close();
  await test.close();
};

if (process.env['WRITE_HISTORIES'] === '1') await writeHistories();

describe('the workflows of self-verification', () => {
  let options: Parameters<typeof Worker.runReplayHistory>[0];
  beforeAll(async () => {
    options = { workflowBundle: await bundleWorkflows(), dataConverter: dataConverter(keys) };
  });

  it.for(saved())('go on from %s', async ([, { workflowId, history }]) => {
    await expect(Worker.runReplayHistory(options, history, workflowId)).resolves.toBeUndefined();
  });

  it('would be seen not to go on: another order of activities is refused', async () => {
    const [, { workflowId, history }] = saved().find(([name]) => name === 'sample-1.json')!;
    const altered = JSON.parse(JSON.stringify(history).replaceAll('"finishCheck"', '"checkStage"')) as typeof history;
    await expect(Worker.runReplayHistory(options, altered, workflowId)).rejects.toThrow(/nondeterminism/i);
  });

  it('have a saved history for each way in which they can go', () => {
    expect(saved().map(([name]) => name)).toEqual([
      'differing-1.json',
      'full-1.json',
      'full-2.json',
      'repair-1.json',
      'repair-2.json',
      'sample-1.json',
    ]);
  });
});
