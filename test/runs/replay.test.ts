/**
 * Saved histories run through the workflows as they are now: a change that running workflows would not survive fails
 * here. The histories are in histories/; to record new ones (after adding a case, never to make a failure go away):
 *   WRITE_HISTORIES=1 npx vitest run test/runs/replay.test.ts
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { performAction, settleAction } from '../../api/operations/actions.ts';
import { decideAction } from '../../api/operations/approvals.ts';
import { closeRun } from '../../api/operations/runs.ts';
import { actionWorkflowId, runWorkflowId } from '../../domain/action/contract.ts';
import type { TemporalKeys } from '../../stack/temporal/codec.ts';
import { dataConverter } from '../../stack/temporal/dataConverter.ts';
import { bundleWorkflows } from '../../stack/temporal/workers.ts';
import type { ActionView } from '../../schema/views.ts';
import { historiesOf } from './histories.ts';
import { intercepted, isPhase, once } from './intercept.ts';
import { agent, openTestRuns } from './open.ts';

const folder = join(import.meta.dirname, 'histories');
/** Of the saved histories: no secret of anybody. */
const keys: TemporalKeys = (instance) => Promise.resolve(createHash('sha256').update(`test ${instance}`).digest());

interface Saved {
  readonly workflowId: string;
  readonly history: { readonly events: readonly Record<string, unknown>[] };
}

const saved = (): [string, Saved][] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => [name, JSON.parse(readFileSync(join(folder, name), 'utf8')) as Saved]);

/** Workers and their queues are named after the machine that they ran on. */
const withoutMachine = (key: string, value: unknown): unknown =>
  typeof value === 'string' && /^(identity|name|normalName)$/.test(key)
    ? value.replaceAll(hostname(), 'machine')
    : value;

const writeHistories = async (): Promise<void> => {
  const test = await openTestRuns({ admissionsPerHistory: 4, payloadKeys: keys });
  const { instance } = test.control;
  const move = once(() => test.change({ change: 'principal.register', principal: 'x', kind: 'human', roles: [] }));
  let moving = false;
  await test.work({
    instance: (usual) =>
      intercepted(usual, { before: async (events) => (moving && isPhase('attempt')(events) ? move() : undefined) }),
  });
  const { runId } = await test.run();
  const save = async (name: string, workflowId: string) => {
    const histories = await historiesOf(test.temporal, [workflowId]);
    for (const [position, history] of histories.entries()) {
      const file = histories.length === 1 ? name : `${name}-${position + 1}`;
      const content: Saved = {
        workflowId,
        history: JSON.parse(historyToJSON(history), withoutMachine) as Saved['history'],
      };
      writeFileSync(join(folder, `${file}.json`), `${JSON.stringify(content)}\n`);
    }
  };
  const perform = (tool: string, note: string): Promise<ActionView> =>
    performAction(test.as(agent), {
      runId,
      tool: `hubspot.${tool}`,
      params:
        tool === 'writeNotes'
          ? { notes: [1, 2, 3, 4].map((n) => ({ note: `${note} ${n}`, text: 'x' })) }
          : { note, text: 'x' },
      waitMs: 60_000,
    });
  const saveAction = async (name: string, { id }: ActionView) => {
    const workflowId = actionWorkflowId(instance, id);
    await test.temporal.workflow.getHandle(workflowId).result();
    await save(name, workflowId);
  };
  await saveAction('action-succeeded', await perform('writeNote', 'a'));
  await saveAction('action-bulk', await perform('writeNotes', 'b'));
  test.vendor.faults.push({ kind: 'status', status: 429 }, { kind: 'status', status: 429 });
  await saveAction('action-retried', await perform('writeNote', 'c'));
  test.vendor.faults.push({ kind: 'status', status: 422 });
  await saveAction('action-refused', await perform('writeNote', 'd'));
  moving = true;
  await saveAction('action-decided-again', await perform('writeNote', 'e'));
  test.vendor.faults.push({ kind: 'lost' });
  await saveAction('action-settled-by-reading', await perform('writeNote', 'f'));
  test.vendor.faults.push({ kind: 'lost' });
  const unknown = await perform('sendNote', 'g');
  await settleAction(test.as('omar'), { id: unknown.id, outcome: 'SUCCESS', reason: 'seen' });
  await saveAction('action-settled-by-person', unknown);
  for (const decision of ['APPROVE', 'DENY'] as const) {
    const asked = await perform('eraseNote', decision);
    const { id, parametersDigest } = asked;
    await decideAction(test.as('priya'), { id, decision, parametersDigest });
    await saveAction(`action-${decision === 'APPROVE' ? 'approved' : 'denied'}`, asked);
  }
  await closeRun(test.as(agent), { runId });
  await save('run', runWorkflowId(instance, runId));
  await test.close();
};

if (process.env['WRITE_HISTORIES'] === '1') await writeHistories();

describe('workflows that began before a change', () => {
  let options: Parameters<typeof Worker.runReplayHistory>[0];
  beforeAll(async () => {
    options = { workflowBundle: await bundleWorkflows(), dataConverter: dataConverter(keys) };
  });

  it.for(saved())('go on from %s', async ([, { workflowId, history }]) => {
    await expect(Worker.runReplayHistory(options, history, workflowId)).resolves.toBeUndefined();
  });

  it('would be seen not to go on: another order of activities is refused', async () => {
    const [, { workflowId, history }] = saved().find(([name]) => name === 'action-succeeded.json')!;
    const altered = JSON.parse(JSON.stringify(history).replaceAll('"readBack"', '"finish"')) as typeof history;
    await expect(Worker.runReplayHistory(options, altered, workflowId)).rejects.toThrow(/nondeterminism/i);
  });

  it('have a saved history for each way in which an action can go, and for a run that continued as new', () => {
    expect(saved().map(([name]) => name)).toEqual([
      'action-approved.json',
      'action-bulk.json',
      'action-decided-again.json',
      'action-denied.json',
      'action-refused.json',
      'action-retried.json',
      'action-settled-by-person.json',
      'action-settled-by-reading.json',
      'action-succeeded.json',
      'run-1.json',
      'run-2.json',
      'run-3.json',
    ]);
  });
});
