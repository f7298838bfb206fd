import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { v7 as uuidv7 } from 'uuid';
import { action, performAction } from '../../api/operations/actions.ts';
import { decideAction } from '../../api/operations/approvals.ts';
import { handOff } from '../../api/operations/handoffs.ts';
import { closeRun, openRun } from '../../api/operations/runs.ts';
import { runWorkflowId } from '../../domain/action/contract.ts';
import type { EventId, PrincipalId, RunId } from '../../schema/ids.ts';
import { runProgressQuery } from '../../workflows/messages.ts';
import { agent, openTestRuns, user, type TestRuns } from './open.ts';

describe('a run', () => {
  let test: TestRuns;
  beforeAll(async () => {
    test = await openTestRuns({ admissionsPerHistory: 3 });
    await test.work();
  });
  afterAll(() => test.close());

  const write = (runId: RunId, note: string, id?: EventId, tool = 'writeNote') =>
    performAction(test.as(agent), {
      runId,
      tool: `hubspot.${tool}`,
      params: { note, text: 'x' },
      waitMs: 60_000,
      ...(id && { id }),
    });
  const effectsOn = (note: string) => test.vendor.effects.filter((effect) => effect.note === note);
  const handle = (runId: RunId) => test.temporal.workflow.getHandle(runWorkflowId(test.control.instance, runId));

  it('is opened once however often it is asked for, and says so in the log', async () => {
    const id = uuidv7() as RunId;
    const versions = { model: 'model-1', promptDigest: 'a'.repeat(64) };
    const opened = await Promise.all(
      [1, 2, 3].map(() => test.run({ id, purpose: 'opening', versions, sessionId: 'session-1' })),
    );
    expect(opened[1]).toEqual(opened[0]);
    expect(opened[2]).toEqual(opened[0]);
    expect(opened[0]).toMatchObject({ runId: id, state: 'OPEN' });
    const [opening, ...others] = await test.find({ run: id });
    expect(others).toHaveLength(0);
    expect(opening?.entry).toMatchObject({
      id,
      action: 'run.open',
      purpose: 'opening',
      onBehalfOf: user,
      delegation: 'dana-to-agent',
      versions,
      sessionId: 'session-1',
      actor: { principal: agent, kind: 'agent' },
    });
    expect(opened[0]).toMatchObject({
      traceparent: `00-${opening?.entry.correlationId}-${opening?.entry.spanId}-01`,
    });
    await expect(test.run({ id, purpose: 'something-else' })).rejects.toMatchObject({ code: 'ID_CONFLICT' });
  });

  it('is opened for whom a delegation is in force, and by an agent for itself only', async () => {
    await expect(test.run({ onBehalfOf: 'priya' as PrincipalId })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(test.run({ agent: 'omar' as PrincipalId })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const opened = await openRun(test.as('omar'), { purpose: 'for-the-agent', agent, onBehalfOf: user });
    expect((await write(opened.runId, 'opened by omar')).state).toBe('SUCCEEDED');
    await expect(test.run({ purpose: 'not a label' })).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await expect(test.run({ budget: { actionsMax: 0 } })).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('admits as many actions as its budget has; what is over is denied on the record', async () => {
    const { runId } = await test.run({ budget: { actionsMax: 4 } });
    for (let count = 1; count <= 4; count += 1) await write(runId, `budget ${count}`);
    const id = uuidv7() as EventId;
    for (let time = 1; time <= 2; time += 1)
      await expect(write(runId, 'over budget', id)).rejects.toMatchObject({ code: 'BUDGET_EXCEEDED' });
    expect(effectsOn('over budget')).toHaveLength(0);
    expect(await action(test.as('omar'), id)).toMatchObject({ state: 'DENIED', error: 'POLICY_DENIED' });
    const events = await test.entries(id);
    expect(events.map(({ entry }) => [entry.phase, entry.outcome])).toEqual([
      ['intent', undefined],
      ['outcome', 'denied'],
    ]);
    expect(await closeRun(test.as(agent), { runId })).toMatchObject({ state: 'COMPLETE', missing: [] });
  });

  it('carries an action out once that is submitted again after the run continued as new', async () => {
    const { runId } = await test.run();
    const ids = Array.from({ length: 7 }, () => uuidv7() as EventId);
    const first = (await handle(runId).describe()).runId;
    for (const [position, id] of ids.entries()) await write(runId, `again ${position}`, id);
    expect((await handle(runId).describe()).runId).not.toBe(first);
    const views = await Promise.all(ids.map((id, position) => write(runId, `again ${position}`, id)));
    expect(views.map(({ state }) => state)).toEqual(ids.map(() => 'SUCCEEDED'));
    for (const [position] of ids.entries()) expect(effectsOn(`again ${position}`)).toHaveLength(1);
    expect(await handle(runId).query(runProgressQuery)).toEqual({ state: 'OPEN', actions: 7 });
    expect(await closeRun(test.as(agent), { runId })).toMatchObject({ state: 'COMPLETE' });
  });

  it('lets an action through while twenty others wait for approval', async () => {
    const { runId } = await test.run();
    const waiting = await Promise.all(
      Array.from({ length: 20 }, (_, position) => write(runId, `waiting ${position}`, undefined, 'eraseNote')),
    );
    expect(waiting.map(({ state }) => state)).toEqual(waiting.map(() => 'AWAITING_APPROVAL'));
    expect((await write(runId, 'in a hurry')).state).toBe('SUCCEEDED');
    for (const { id, parametersDigest } of waiting)
      await decideAction(test.as('priya'), { id, decision: 'DENY', parametersDigest });
    expect(await closeRun(test.as(agent), { runId })).toMatchObject({ state: 'COMPLETE' });
  });

  it('closes as incomplete and names what is missing, once, and takes nothing more', async () => {
    const { runId } = await test.run();
    const done = await write(runId, 'done');
    const waiting = await write(runId, 'never decided', undefined, 'eraseNote');
    const closed = await closeRun(test.as(agent), { runId });
    expect(closed).toMatchObject({
      state: 'INCOMPLETE',
      missing: [{ kind: 'no-final-outcome', details: { intent: waiting.id, last: 'pending' } }],
    });
    expect(closed.missing[0]?.text).toContain(waiting.id);
    expect(await closeRun(test.as(agent), { runId })).toEqual(closed);
    const closings = await test.find({ run: runId, action: 'run.close' });
    expect(closings.map(({ entry }) => entry.outcome)).toEqual(['failure']);
    await expect(write(runId, 'too late')).rejects.toMatchObject({ code: 'RUN_CLOSED' });
    expect(effectsOn('too late')).toHaveLength(0);
    // What began before is still there to be asked for.
    expect(await write(runId, 'done', done.id)).toMatchObject({ id: done.id, state: 'SUCCEEDED' });
    expect(effectsOn('done')).toHaveLength(1);
    await decideAction(test.as('priya'), {
      id: waiting.id,
      decision: 'DENY',
      parametersDigest: waiting.parametersDigest,
    });
  });

  it('that was recorded as open, but whose workflow was never started, is carried on by the next call', async () => {
    const { runId } = await test.run();
    await handle(runId).terminate('stands for a crash between the two');
    // A terminated workflow is not started again: nobody may begin anew what ended.
    await expect(write(runId, 'terminated')).rejects.toMatchObject({ code: 'RUN_CLOSED' });
    expect(effectsOn('terminated')).toHaveLength(0);

    const context = test.as(agent);
    const away = { ...context.services, temporal: test.unreachable };
    const id = uuidv7() as RunId;
    await expect(
      openRun({ ...context, services: away }, { id, purpose: 'testing', onBehalfOf: user }),
    ).rejects.toMatchObject({ code: 'WORKFLOWS_UNAVAILABLE', retryable: true });
    expect((await write(id, 'started late')).state).toBe('SUCCEEDED');
    expect(await closeRun(test.as(agent), { runId: id })).toMatchObject({ state: 'COMPLETE' });
  });

  it('goes on with an action that was recorded while Temporal was away, when it is asked for again', async () => {
    const { runId } = await test.run();
    const context = test.as(agent);
    const id = uuidv7() as EventId;
    const input = { runId, id, tool: 'hubspot.writeNote', params: { note: 'away', text: 'x' } };
    await expect(
      performAction({ ...context, services: { ...context.services, temporal: test.unreachable } }, input),
    ).rejects.toMatchObject({ code: 'WORKFLOWS_UNAVAILABLE', retryable: true });
    expect(effectsOn('away')).toHaveLength(0);
    const incomplete = await test.entries(id);
    expect(incomplete.map(({ entry }) => entry.phase)).toEqual(['intent']);
    expect((await performAction(context, { ...input, waitMs: 60_000 })).state).toBe('SUCCEEDED');
    expect(effectsOn('away')).toHaveLength(1);
    // What stands in the log can be told even then.
    const told = await action({ ...context, services: { ...context.services, temporal: test.unreachable } }, id);
    expect(told).toMatchObject({ state: 'SUCCEEDED', outcome: 'success', attempts: 1 });
  });

  it('is handed over to a person, on the record', async () => {
    const { runId } = await test.run();
    const view = await write(runId, 'to be looked at');
    const handed = await handOff(test.as(agent), {
      runId,
      to: 'omar' as PrincipalId,
      reason: 'the customer disagrees',
      action: view.id,
    });
    const [recorded] = await test.find({ id: handed.id });
    expect(recorded?.index).toBe(handed.index);
    expect(recorded?.entry).toMatchObject({ action: 'handoff.request', runId, causedBy: view.id });
    expect(recorded?.parts?.['handoff']).toMatchObject({
      content: { to: 'omar', reason: 'the customer disagrees' },
    });
    for (const to of [agent, 'nobody'])
      await expect(handOff(test.as(agent), { runId, to: to as PrincipalId, reason: 'x' })).rejects.toMatchObject({
        code: 'BAD_INPUT',
      });
    expect(await closeRun(test.as(agent), { runId })).toMatchObject({ state: 'COMPLETE' });
  });
});
