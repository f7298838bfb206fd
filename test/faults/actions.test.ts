/**
 * A worker is killed at each step of an action, and another goes on. A row: the tool, where the worker dies, how the
 * action ends, and how often the effect happened. Whatever the row, it never happens twice, and the record has no gap.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, type TestContext } from 'vitest';
import { v7 as uuidv7 } from 'uuid';
import { performAction } from '../../api/operations/actions.ts';
import { decideAction } from '../../api/operations/approvals.ts';
import { closeRun } from '../../api/operations/runs.ts';
import { actionWorkflowId } from '../../domain/action/contract.ts';
import { isResting, type ActionState } from '../../domain/action/progress.ts';
import type { EventId } from '../../schema/ids.ts';
import type { JsonObject } from '../../schema/json.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { agent, openTestRuns, type TestRuns } from '../runs/open.ts';
import { testNamespace } from '../setup/servers.ts';
import type { ActionWorkerSetup, StopAt } from './actionWorker.ts';

interface Row {
  readonly tool: string;
  readonly dies: StopAt;
  readonly ends: ActionState;
  readonly effects: number;
}

const appending = (when: 'before' | 'after', phase: string, action?: string): StopAt => ({
  around: 'append',
  when,
  phase,
  ...(action !== undefined && { action }),
});
const around = (when: 'before' | 'after', what: 'call' | 'before'): StopAt => ({ around: what, when });
const row = (tool: string, dies: StopAt, ends: ActionState, effects: number): Row => ({ tool, dies, ends, effects });

const rows: readonly Row[] = [
  // Nothing can have happened yet: the next worker begins anew.
  row('writeNote', appending('before', 'decision'), 'SUCCEEDED', 1),
  row('writeNote', appending('after', 'decision'), 'SUCCEEDED', 1),
  row('writeNote', around('after', 'before'), 'SUCCEEDED', 1),
  // The attempt stands, the outcome does not. Reading tells.
  row('writeNote', appending('after', 'attempt'), 'FAILED', 0),
  row('writeNote', around('after', 'call'), 'SUCCEEDED', 1),
  // The outcome stands.
  row('writeNote', appending('after', 'outcome'), 'SUCCEEDED', 1),
  row('writeNote', appending('before', 'verified'), 'SUCCEEDED', 1),
  row('writeNote', appending('after', 'verified'), 'SUCCEEDED', 1),
  // Reading can't tell: a person must.
  row('sendNote', appending('after', 'attempt'), 'UNKNOWN', 0),
  row('sendNote', around('after', 'call'), 'UNKNOWN', 1),
  // The vendor knows the call again by its key.
  row('putNote', around('after', 'call'), 'SUCCEEDED', 1),
  // A second call is refused where the first one took effect, and reading tells which of the two it was.
  row('swapNote', appending('after', 'attempt'), 'SUCCEEDED', 1),
  row('swapNote', around('after', 'call'), 'SUCCEEDED', 1),
  // Reading has no effect, and is done again.
  row('readNote', around('before', 'call'), 'SUCCEEDED', 0),
  // Several objects a call, and no way to tell afterwards which of them were changed.
  row('writeNotes', appending('after', 'attempt'), 'UNKNOWN', 0),
  row('writeNotes', around('after', 'call'), 'UNKNOWN', 3),
  row('writeNotes', appending('after', 'outcome'), 'SUCCEEDED', 5),
  // Around an approval.
  row('eraseNote', appending('after', 'intent', 'approval.request'), 'SUCCEEDED', 1),
  row('eraseNote', appending('before', 'decision', 'approval.decide'), 'SUCCEEDED', 1),
];

const nameOf = ({ tool, dies, ends, effects }: Row): string => {
  const place =
    dies.around === 'append' ? `${dies.action ?? dies.phase} is recorded` : `the ${dies.around} of the vendor`;
  return `${tool}, killed ${dies.when} ${place}: ${ends}, ${effects} effects`;
};

describe('a worker that stops in the middle of an action', () => {
  let test: TestRuns;
  let folder: string;
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work({ only: 'runs' });
    folder = mkdtempSync(join(tmpdir(), 'trailkeeper-faults-'));
    writeFileSync(join(folder, 'bundle.js'), test.bundle.code);
    test.vendor.notes.set('readable', { text: 'x', revision: 1, action: '' });
  });
  afterAll(async () => {
    await test.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const startChild = async (
    stopAt: StopAt,
    how: 'kill' | 'freeze',
    taskQueues: ActionWorkerSetup['taskQueues'],
    onTestFinished: TestContext['onTestFinished'],
  ) => {
    const { control } = test;
    const { uriOf } = control.database;
    const setup: ActionWorkerSetup = {
      instance: control.instance,
      origin: control.origin,
      keysFolder: control.keysFolder,
      uris: { appender: uriOf('appender'), anchor: uriOf('anchor'), reader: uriOf('reader') },
      temporal: { address: inject('temporalAddress'), namespace: testNamespace },
      taskQueues,
      bundle: join(folder, 'bundle.js'),
      stopAt,
      how,
      report: join(folder, uuidv7()),
    };
    const child = spawn(process.execPath, [join(import.meta.dirname, 'actionWorker.ts')], {
      env: { ...process.env, ACTION_WORKER: JSON.stringify(setup) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const said = (word: string) =>
      expect
        .poll(() => existsSync(setup.report) && readFileSync(setup.report, 'utf8').includes(word), { timeout: 60_000 })
        .toBe(true);
    await said('working');
    return { said, process: child };
  };

  const paramsOf = (tool: string, note: string): JsonObject => {
    if (tool === 'readNote') return { note: 'readable', text: '' };
    if (tool !== 'writeNotes') return { note, text: 'x' };
    return { notes: Array.from({ length: 5 }, (_, position) => ({ note: `${note} ${position}`, text: 'x' })) };
  };

  it.for(rows.map((one) => [nameOf(one), one] as const))('%s', async (given, { onTestFinished }) => {
    const [, { tool, dies, ends, effects }] = given;
    const taskQueues = { ...test.services.taskQueues!, actions: `actions-${uuidv7()}` };
    const services = { ...test.services, taskQueues };
    const as = (who: string) => ({ ...test.as(who), services });
    const { process: worker } = await startChild(dies, 'kill', taskQueues, onTestFinished);
    const ended = once(worker, 'exit');
    const { runId } = await test.run({}, services);
    const id = uuidv7() as EventId;
    const note = `note of ${id}`;
    const view = await performAction(as(agent), {
      runId,
      id,
      tool: `hubspot.${tool}`,
      params: paramsOf(tool, note),
      waitMs: 0,
    });
    const handle = test.temporal.workflow.getHandle(actionWorkflowId(test.control.instance, id));
    const approve = async () => {
      await expect
        .poll(async () => (await handle.query(progressQuery)).state, { timeout: 60_000 })
        .toBe('AWAITING_APPROVAL');
      await decideAction(as('priya'), { id, decision: 'APPROVE', parametersDigest: view.parametersDigest }).catch(
        // The worker that was asked may be the one that dies.
        () => undefined,
      );
    };
    if (tool === 'eraseNote' && dies.around === 'append' && dies.action === 'approval.decide') await approve();
    const [, signal] = (await ended) as [unknown, string];
    expect(signal).toBe('SIGKILL');

    const next = await test.work({ taskQueues, only: 'actions' });
    if (tool === 'eraseNote' && dies.around === 'append' && dies.action === 'approval.request') await approve();
    const resting = async (): Promise<boolean> => {
      const { state } = await handle.query(progressQuery);
      return isResting(state) && state === ends;
    };
    await expect.poll(resting, { timeout: 60_000 }).toBe(true);
    const happened = test.vendor.effects.filter((effect) => effect.action === id);
    expect(happened).toHaveLength(effects);
    expect(new Set(happened.map((effect) => effect.note)).size).toBe(effects);

    const closed = await closeRun(as('omar'), { runId });
    expect(closed.missing.filter(({ kind }) => kind !== 'no-final-outcome')).toEqual([]);
    expect(closed.state).toBe(ends === 'UNKNOWN' ? 'INCOMPLETE' : 'COMPLETE');
    await next.stop();
  });

  it('and goes on later does no harm: what it was about to do is not done any more', async (context) => {
    const taskQueues = { ...test.services.taskQueues!, actions: `actions-${uuidv7()}` };
    const services = { ...test.services, taskQueues };
    const as = (who: string) => ({ ...test.as(who), services });
    const frozenAt = appending('after', 'attempt');
    const { process: worker, said } = await startChild(frozenAt, 'freeze', taskQueues, context.onTestFinished);
    const { runId } = await test.run({}, services);
    const id = uuidv7() as EventId;
    const params = paramsOf('writeNote', `note of ${id}`);
    await performAction(as(agent), { runId, id, tool: 'hubspot.writeNote', params, waitMs: 0 });
    await said('stopped');
    const next = await test.work({ taskQueues, only: 'actions' });
    const handle = test.temporal.workflow.getHandle(actionWorkflowId(test.control.instance, id));
    // The one that goes on has waited for long enough, looked, found no effect, and said so.
    expect(await handle.result()).toMatchObject({ state: 'FAILED' });
    worker.kill('SIGCONT');
    await said('went on');
    expect(test.vendor.effects.filter((effect) => effect.action === id)).toHaveLength(0);
    expect(await closeRun(as('omar'), { runId })).toMatchObject({ state: 'COMPLETE' });
    await next.stop();
  });
});
