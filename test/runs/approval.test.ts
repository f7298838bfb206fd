import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { action, performAction } from '../../api/operations/actions.ts';
import { decideAction, type DecideActionInput } from '../../api/operations/approvals.ts';
import { checkCompleteness } from '../../domain/completeness.ts';
import { diagnose } from '../../domain/diagnosis/diagnose.ts';
import { groupActions } from '../../domain/timeline/actions.ts';
import type { RunId } from '../../schema/ids.ts';
import type { ActionView } from '../../schema/views.ts';
import { intercepted, isPhase, once, type Interception } from './intercept.ts';
import { agent, openTestRuns, user, type TestRuns } from './open.ts';

/** Deleting asks for approval, by the policies that an instance begins with (schema/cedar/default.cedar). */
describe('an action that a policy lets a person approve', () => {
  let test: TestRuns;
  let runId: RunId;
  let interception: Interception = {};
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work({
      instance: (usual) => intercepted(usual, { before: async (events) => interception.before?.(events) }),
    });
    ({ runId } = await test.run());
  });
  afterAll(() => test.close());

  const ask = async (note: string, services: Partial<TestRuns['services']> = {}): Promise<ActionView> => {
    const context = test.as(agent);
    const view = await performAction(
      { ...context, services: { ...context.services, ...services } },
      { runId, tool: 'hubspot.eraseNote', params: { note, text: 'gone' }, waitMs: 60_000 },
    );
    return view;
  };
  const decide = (who: string, view: ActionView, changes: Partial<DecideActionInput> = {}) =>
    decideAction(test.as(who), {
      id: view.id,
      decision: 'APPROVE',
      parametersDigest: view.parametersDigest,
      reason: 'because',
      ...changes,
    });
  const ended = async (view: ActionView): Promise<ActionView> => {
    await test.temporal.workflow.getHandle(`${test.control.instance}/action/${view.id}`).result();
    return action(test.as('omar'), view.id);
  };
  const effectsOn = (note: string) => test.vendor.effects.filter((effect) => effect.note === note);

  it('waits, does nothing before, and is carried out once when it is approved', async () => {
    const asked = await ask('approved');
    expect(asked).toMatchObject({ state: 'AWAITING_APPROVAL', attempts: 0, approval: { state: 'PENDING' } });
    expect(effectsOn('approved')).toHaveLength(0);
    const decided = await decide('priya', asked);
    expect(decided.approval).toMatchObject({ state: 'APPROVED', decidedBy: 'priya' });
    expect(await ended(asked)).toMatchObject({ state: 'SUCCEEDED', attempts: 1 });
    expect(effectsOn('approved')).toHaveLength(1);

    const events = await test.entries(asked.id);
    const [request, binding] = events.filter(({ entry }) => entry.action.startsWith('approval.'));
    expect(request?.entry).toMatchObject({ outcome: 'pending', parametersDigest: asked.parametersDigest });
    expect(binding?.entry).toMatchObject({
      action: 'approval.decide',
      outcome: 'success',
      actor: { principal: 'priya', kind: 'human' },
      parametersDigest: asked.parametersDigest,
    });
    const attempt = events.find(({ entry }) => entry.phase === 'attempt');
    expect(attempt?.entry.basis?.approval).toBe(binding?.entry.id);
    // Why stands in the entry that the decision was asked with, and the binding one refers to it.
    const [why] = await test.find({ id: binding?.entry.causedBy });
    expect(why?.parts?.['reason']).toMatchObject({ content: { decision: 'APPROVE', reason: 'because' } });
  });

  it('is not carried out when it is denied, and a denial is final', async () => {
    const asked = await ask('denied');
    const decided = await decide('priya', asked, { decision: 'DENY' });
    expect(decided.approval).toMatchObject({ state: 'DENIED', decidedBy: 'priya' });
    expect(await ended(asked)).toMatchObject({ state: 'DENIED', error: 'APPROVAL_DENIED', attempts: 0 });
    await expect(decide('pavel', asked)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
    expect(effectsOn('denied')).toHaveLength(0);
  });

  it('can not be approved by who asked, by whom they act for, or by a program; that they tried is recorded', async () => {
    const asked = await ask('own');
    for (const who of [agent, user])
      await expect(decide(who, asked)).rejects.toMatchObject({ code: 'APPROVER_IS_REQUESTER' });
    const tried = await test.find({ action: 'approval.decide', phase: 'intent', cause: asked.id });
    expect(tried.map(({ entry }) => entry.actor.principal)).toEqual([agent, user]);
    await decide('priya', asked, { decision: 'DENY' });
  });

  it('can not be approved with another digest than that of its parameters', async () => {
    const asked = await ask('digest');
    await expect(decide('priya', asked, { parametersDigest: '0'.repeat(64) })).rejects.toMatchObject({
      code: 'PARAMETERS_CHANGED',
    });
    expect(await action(test.as('omar'), asked.id)).toMatchObject({ approval: { state: 'PENDING' } });
    await decide('priya', asked, { decision: 'DENY' });
  });

  it('says of each decision that did not count that it was refused, and why', async () => {
    const asked = await ask('refused');
    const other = { parametersDigest: '0'.repeat(64) };
    await expect(decide(agent, asked)).rejects.toMatchObject({ code: 'APPROVER_IS_REQUESTER' });
    await expect(decide('priya', asked, other)).rejects.toMatchObject({ code: 'PARAMETERS_CHANGED' });
    await decide('priya', asked);
    await expect(decide('pavel', asked)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
    await ended(asked);
    await expect(decide('pavel', asked)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
    const words = await test.find({ action: 'approval.decide', phase: 'intent', cause: asked.id });
    const refused = await test.find({
      action: 'approval.decide',
      phase: 'outcome',
      cause: { $in: words.map(({ entry }) => entry.id) },
    });
    expect(refused.map(({ entry }) => [entry.outcome, entry.error?.code, entry.actor.principal, entry.runId])).toEqual([
      ['denied', 'POLICY_DENIED', agent, runId],
      ['denied', 'PARAMETERS_CHANGED', 'priya', runId],
      ['denied', 'CONFLICT', 'pavel', runId],
      ['denied', 'CONFLICT', 'pavel', runId],
    ]);
    const causes = [0, 1, 3, 4].map((position) => words[position]?.entry.id);
    expect(refused.map(({ entry }) => entry.causedBy)).toEqual(causes);

    const record = groupActions(await test.find({ run: runId })).find(({ intentId }) => intentId === asked.id);
    expect(record?.approvals.map(({ entry }) => `${entry.action} ${entry.actor.principal} ${entry.phase}`)).toEqual([
      'approval.request platform intent',
      'approval.decide priya decision',
    ]);
  });

  it('is decided by the first of two people who decide at once', async () => {
    const asked = await ask('contested');
    const results = await Promise.allSettled([
      decide('priya', asked),
      decide('pavel', asked, { decision: 'DENY' }),
      decide('priya', asked),
    ]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(refusals).toMatchObject([{ code: 'APPROVAL_NOT_PENDING' }, { code: 'APPROVAL_NOT_PENDING' }]);
    const view = await ended(asked);
    const approved = view.approval?.state === 'APPROVED';
    expect(view.state).toBe(approved ? 'SUCCEEDED' : 'DENIED');
    expect(effectsOn('contested')).toHaveLength(approved ? 1 : 0);
    const binding = (await test.entries(asked.id)).filter(({ entry }) => entry.action === 'approval.decide');
    expect(binding).toHaveLength(1);
  });

  it('is denied when nobody approves it in time', async () => {
    const asked = await ask('late', { actionDurations: { ...test.services.actionDurations, approvalMs: 1500 } });
    expect(await ended(asked)).toMatchObject({
      state: 'DENIED',
      error: 'APPROVAL_EXPIRED',
      approval: { state: 'EXPIRED' },
    });
    await expect(decide('priya', asked)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
    expect(effectsOn('late')).toHaveLength(0);
  });

  it('is not asked for again when it is decided anew, and not carried out once its approver may approve no more', async () => {
    const asked = await ask('disabled');
    const change = once(async () => {
      await test.change({ change: 'principal.disable', principal: 'pavel' });
    });
    interception = { before: async (events) => (isPhase('attempt')(events) ? change() : undefined) };
    await decide('pavel', asked);
    expect(await ended(asked)).toMatchObject({ state: 'DENIED', error: 'APPROVAL_DENIED', attempts: 0 });
    interception = {};
    expect(effectsOn('disabled')).toHaveLength(0);

    const again = await ask('redecided');
    const move = once(() => test.change({ change: 'principal.register', principal: 'x', kind: 'human', roles: [] }));
    interception = { before: async (events) => (isPhase('attempt')(events) ? move() : undefined) };
    await decide('priya', again);
    expect(await ended(again)).toMatchObject({ state: 'SUCCEEDED', attempts: 1 });
    interception = {};
    const requests = (await test.entries(again.id)).filter(({ entry }) => entry.action === 'approval.request');
    expect(requests).toHaveLength(1);
    expect(effectsOn('redecided')).toHaveLength(1);
  });

  it('leaves a record that is complete and says who approved', async () => {
    const events = (await test.find({ run: runId })).filter(({ entry }) => entry.runId === runId);
    const emitters = await test.control.trail.reader.emitters([...new Set(events.map((e) => e.entry.emitter.id))]);
    const emitterStates = new Map(emitters.map(({ _id, ...state }) => [_id, state]));
    expect(checkCompleteness(events, emitterStates)).toEqual({ state: 'COMPLETE' });
    const control = await test.find({ control: { $exists: true } });
    const integrity = { state: 'intact', size: await test.control.trail.reader.size() } as const;
    const { statements } = diagnose({ events, control, integrity, emitterStates });
    const approvals = statements.flatMap((statement) => (statement.kind === 'permission' ? [statement.approval] : []));
    expect(approvals).toContainEqual({ result: 'granted', by: 'priya' });
    expect(approvals).toContainEqual({ result: 'denied', by: 'priya' });
    expect(approvals).not.toContainEqual({ result: 'denied', by: agent });
  });
});
