import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { performAction, settleAction } from '../../api/operations/actions.ts';
import { closeRun } from '../../api/operations/runs.ts';
import { groupActions } from '../../domain/timeline/actions.ts';
import type { RunId } from '../../schema/ids.ts';
import type { ActionView } from '../../schema/views.ts';
import { agent, openTestRuns, type TestRuns } from './open.ts';
import type { Fault } from './vendor.ts';

describe('an action whose call nobody can be sure of', () => {
  let test: TestRuns;
  let runId: RunId;
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work();
    ({ runId } = await test.run());
  });
  afterAll(() => test.close());

  const perform = (tool: string, note: string, ...faults: Fault[]): Promise<ActionView> => {
    test.vendor.faults.push(...faults);
    const params = { note, text: `text of ${note}` };
    return performAction(test.as(agent), { runId, tool: `hubspot.${tool}`, params, waitMs: 60_000 });
  };
  const effectsOn = (note: string) => test.vendor.effects.filter((effect) => effect.note === note);
  const calls = async ({ id }: ActionView) =>
    (await test.entries(id))
      .filter(({ entry }) => entry.phase !== 'intent' && entry.phase !== 'decision')
      .map(({ entry }) => [entry.action, entry.phase, entry.attempt, entry.outcome, entry.error?.code].join(' '));
  /** Settled by reading takes a moment, in which the action rests. */
  const settled = (view: ActionView) =>
    test.temporal.workflow.getHandle(`${test.control.instance}/action/${view.id}`).result();

  it('is settled by reading that it took effect, and then read back like any other', async () => {
    for (const fault of ['lost', 'cut'] as const) {
      const view = await perform('writeNote', `took effect (${fault})`, { kind: fault });
      expect(await settled(view)).toMatchObject({ state: 'SUCCEEDED', attempts: 1 });
      expect(effectsOn(`took effect (${fault})`)).toHaveLength(1);
      const code = fault === 'lost' ? 'TIMEOUT' : 'UNAVAILABLE';
      expect(await calls(view)).toEqual([
        'record.update attempt 1  ',
        `record.update outcome 1 unknown ${code}`,
        'record.update outcome 1 success ',
        'record.update verified  success ',
      ]);
    }
  });

  it('is settled by reading that it took none, and is not tried again', async () => {
    const view = await perform('writeNote', 'no effect', { kind: 'silent' });
    expect(await settled(view)).toMatchObject({ state: 'FAILED', outcome: 'failure', error: 'TIMEOUT', attempts: 1 });
    expect(effectsOn('no effect')).toHaveLength(0);
    expect(await calls(view)).toEqual([
      'record.update attempt 1  ',
      'record.update outcome 1 unknown TIMEOUT',
      'record.update outcome 1 failure TIMEOUT',
    ]);
  });

  it('is tried again where the vendor recognises the call by its key', async () => {
    const view = await perform('putNote', 'keyed', { kind: 'lost' }, { kind: 'cut' });
    expect(await settled(view)).toMatchObject({ state: 'SUCCEEDED', attempts: 3 });
    expect(effectsOn('keyed')).toHaveLength(1);
    expect((await calls(view)).filter((line) => line.includes('outcome'))).toEqual([
      'record.create outcome 1 retry TIMEOUT',
      'record.create outcome 2 retry UNAVAILABLE',
      'record.create outcome 3 success ',
    ]);
  });

  it('is not tried again where only a condition protects it, but looked for', async () => {
    const view = await perform('swapNote', 'conditional', { kind: 'lost' });
    expect(await settled(view)).toMatchObject({ state: 'SUCCEEDED', attempts: 1 });
    expect(effectsOn('conditional')).toHaveLength(1);
  });

  it('waits for a person where nothing else can tell, and the person has the last word', async () => {
    const succeeded = await perform('sendNote', 'a person saw it', { kind: 'lost' });
    expect(succeeded).toMatchObject({ state: 'UNKNOWN', outcome: 'unknown', error: 'TIMEOUT' });
    const reason = 'the customer answered it';
    const settledView = await settleAction(test.as('omar'), { id: succeeded.id, outcome: 'SUCCESS', reason });
    expect(settledView).toMatchObject({ state: 'SUCCEEDED', outcome: 'success' });
    const events = await test.entries(succeeded.id);
    expect(events.at(-1)?.entry).toMatchObject({
      action: 'action.settle',
      outcome: 'success',
      actor: { principal: 'omar', kind: 'human' },
    });
    const [why] = await test.find({ id: events.at(-1)?.entry.causedBy });
    expect(why?.parts?.['reason']).toMatchObject({ content: { outcome: 'SUCCESS', reason } });

    const failed = await perform('sendNote', 'nobody saw it', { kind: 'silent' });
    const view = await settleAction(test.as('omar'), { id: failed.id, outcome: 'FAILURE', reason: 'never arrived' });
    expect(view).toMatchObject({ state: 'FAILED', outcome: 'failure' });
    for (const id of [succeeded.id, failed.id])
      await expect(settleAction(test.as('omar'), { id, outcome: 'SUCCESS', reason: 'x' })).rejects.toMatchObject({
        code: 'ACTION_NOT_UNKNOWN',
      });
  });

  it('says of a settlement that did not count that it was refused, and does not rest on it', async () => {
    const { runId: own } = await test.run();
    const succeeded = await performAction(test.as(agent), {
      runId: own,
      tool: 'hubspot.writeNote',
      params: { note: 'clear', text: 'x' },
      waitMs: 60_000,
    });
    expect(succeeded.state).toBe('SUCCEEDED');
    await expect(
      settleAction(test.as('omar'), { id: succeeded.id, outcome: 'FAILURE', reason: 'x' }),
    ).rejects.toMatchObject({ code: 'ACTION_NOT_UNKNOWN' });
    const events = await test.find({ run: own });
    const [word, refused] = events.filter(({ entry }) => entry.action === 'action.settle');
    expect(refused?.entry).toMatchObject({
      phase: 'outcome',
      outcome: 'denied',
      causedBy: word?.entry.id,
      error: { code: 'CONFLICT' },
    });
    expect(groupActions(events)).toMatchObject([{ intentId: succeeded.id, settlements: [] }]);
  });

  it('can not be settled by the agent itself', async () => {
    const view = await perform('sendNote', 'own word', { kind: 'lost' });
    await expect(
      settleAction(test.as(agent), { id: view.id, outcome: 'SUCCESS', reason: 'trust me' }),
    ).rejects.toMatchObject({ code: 'APPROVER_IS_REQUESTER' });
    await settleAction(test.as('omar'), { id: view.id, outcome: 'SUCCESS', reason: 'seen' });
  });

  it('leaves the run incomplete until it is settled', async () => {
    const own = await test.run();
    test.vendor.faults.push({ kind: 'lost' });
    const view = await performAction(test.as(agent), {
      runId: own.runId,
      tool: 'hubspot.sendNote',
      params: { note: 'unsettled', text: 'x' },
      waitMs: 60_000,
    });
    expect(view.state).toBe('UNKNOWN');
    expect(await closeRun(test.as(agent), { runId: own.runId })).toMatchObject({
      state: 'INCOMPLETE',
      missing: [{ kind: 'no-final-outcome', details: { intent: view.id, last: 'unknown' } }],
    });
    await settleAction(test.as('omar'), { id: view.id, outcome: 'SUCCESS', reason: 'seen' });
    expect(await closeRun(test.as(agent), { runId })).toMatchObject({ state: 'COMPLETE' });
  });
});
