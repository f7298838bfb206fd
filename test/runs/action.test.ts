import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { v7 as uuidv7 } from 'uuid';
import { action, performAction, type PerformActionInput } from '../../api/operations/actions.ts';
import { closeRun } from '../../api/operations/runs.ts';
import { diagnose } from '../../domain/diagnosis/diagnose.ts';
import { renderStatement } from '../../domain/diagnosis/render.ts';
import type { EventInput } from '../../schema/event.ts';
import type { EventId, RunId } from '../../schema/ids.ts';
import type { JsonObject } from '../../schema/json.ts';
import { TrailError } from '../../trail/errors.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import { intercepted, isPhase, once, type Interception } from './intercept.ts';
import { agent, openTestRuns, user, type TestRuns } from './open.ts';

const steps = (events: readonly IndexedEvent[]) =>
  events.map(({ entry }) => [entry.phase, entry.action, entry.outcome ?? '-'].join(' '));

const decided = ['decision authorization.decide success', 'decision authorization.decide success'];
const content = (event: IndexedEvent | undefined, part: string): unknown => {
  const found = event?.parts?.[part];
  return found?.state === 'present' ? found.content : found?.state;
};

describe('a guarded action', () => {
  let test: TestRuns;
  let runId: RunId;
  let interception: Interception = {};
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work({
      instance: (usual) =>
        intercepted(usual, {
          before: async (events) => interception.before?.(events),
          after: async (events, results) => interception.after?.(events, results),
          parameters: () => interception.parameters?.(),
        }),
    });
    ({ runId } = await test.run());
  });
  afterAll(() => test.close());

  const perform = (tool: string, params: JsonObject, changes: Partial<PerformActionInput> = {}) =>
    performAction(test.as(agent), { runId, tool: `hubspot.${tool}`, params, waitMs: 60_000, ...changes });
  const effectsOn = (note: string) => test.vendor.effects.filter((effect) => effect.note === note);

  it('is decided, attempted with the values before, carried out once and read back, each step recorded ahead', async () => {
    const run = await test.run();
    await perform('writeNote', { note: 'first', text: 'before' }, { runId: run.runId });
    const view = await perform('writeNote', { note: 'first', text: 'after' }, { runId: run.runId });
    expect(view).toMatchObject({ state: 'SUCCEEDED', outcome: 'success', attempts: 1 });
    expect(effectsOn('first').map(({ text }) => text)).toEqual(['before', 'after']);
    const events = await test.entries(view.id);
    expect(steps(events)).toEqual([
      'intent record.update -',
      ...decided,
      'attempt record.update -',
      'outcome record.update success',
      'verified record.update success',
    ]);
    expect(events.map(({ entry }) => entry.emitter.sequence)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(events.map(({ entry }) => entry.authorization?.about).slice(1, 3)).toEqual(['agent', 'user']);
    const [intent, agentDecision, userDecision, attempt, outcome, verified] = events;
    expect(attempt?.entry).toMatchObject({
      onBehalfOf: user,
      delegation: 'dana-to-agent',
      credential: { id: 'notebook', version: 1 },
      versions: { connector: 'notebook/1' },
      basis: { decisions: [agentDecision?.entry.id, userDecision?.entry.id] },
    });
    expect(content(attempt, 'before')).toMatchObject({ text: 'before' });
    expect(content(attempt, 'sent')).toEqual({ text: 'after' });
    expect(content(outcome, 'after')).toEqual({ text: 'after' });
    expect(content(verified, 'readBack')).toMatchObject({ text: 'after' });
    // Everything hangs together, and what is about a person is kept as theirs.
    for (const { entry } of events) expect(entry).toMatchObject({ correlationId: run.correlationId, runId: run.runId });
    for (const { entry } of [attempt!, outcome!, verified!]) expect(entry.parts[0]?.subject).toMatch(/^sub_/);
    expect(intent?.entry.parts[0]).toMatchObject({ name: 'parameters', subject: attempt?.entry.subjects?.[0] });
    expect(test.vendor.calls.at(-1)).toMatchObject({
      correlation: run.correlationId,
      traceparent: `00-${run.correlationId}-${attempt?.entry.spanId}-01`,
    });
  });

  it('that reads leaves what it read in the payload of its outcome', async () => {
    await perform('writeNote', { note: 'readable', text: 'to be read' });
    const view = await perform('readNote', { note: 'readable', text: '' });
    expect(view.state).toBe('SUCCEEDED');
    const events = await test.entries(view.id);
    expect(steps(events)).toEqual([
      'intent record.read -',
      ...decided,
      'attempt record.read -',
      'outcome record.read success',
    ]);
    expect(content(events.at(-1), 'response')).toMatchObject({ text: 'to be read' });
  });

  it('about several objects has an entry for each of them, in as many calls as the vendor needs', async () => {
    const notes = Array.from({ length: 5 }, (_, position) => ({ note: `bulk-${position}`, text: `text ${position}` }));
    const view = await perform('writeNotes', { notes });
    expect(view).toMatchObject({ state: 'SUCCEEDED', attempts: 2 });
    const events = await test.entries(view.id);
    expect(events.map(({ entry }) => entry.emitter.sequence)).toEqual(events.map((_, position) => position + 1));
    const of = (phase: string) => events.filter(({ entry }) => entry.phase === phase);
    expect(events[0]?.entry.count).toBe(5);
    for (const phase of ['attempt', 'outcome', 'verified']) {
      const calls = of(phase).filter(({ entry }) => entry.batch === undefined);
      const objects = of(phase).filter(({ entry }) => entry.batch !== undefined);
      expect(calls.map(({ entry }) => entry.count)).toEqual([3, 2]);
      expect(objects.map(({ entry }) => entry.batch)).toEqual([
        ...[0, 1, 2].map((position) => ({ parent: calls[0]?.entry.id, position, size: 3 })),
        ...[0, 1].map((position) => ({ parent: calls[1]?.entry.id, position, size: 2 })),
      ]);
      expect(new Set(objects.map(({ entry }) => entry.resource?.urn)).size).toBe(5);
    }
    const sent = of('attempt').filter(({ entry }) => entry.batch);
    expect(sent.map((event) => content(event, 'sent'))).toEqual(notes.map(({ text }) => ({ text })));
  });

  it('about several objects says how many succeeded, failed and were never tried, where a call failed as a whole', async () => {
    const run = await test.run();
    const notes = Array.from({ length: 7 }, (_, position) => ({ note: `part-${position}`, text: 'x' }));
    const well = { kind: 'none' } as const;
    test.vendor.faults.push(well, well, well, { kind: 'status', status: 422 });
    const view = await perform('writeNotes', { notes }, { runId: run.runId });
    const objects = { succeeded: 3, failed: 3, notTried: 1 };
    expect(view).toMatchObject({ state: 'FAILED', error: 'INVALID_REQUEST', attempts: 2, objects });
    const away = { ...test.as('omar'), services: { ...test.services, temporal: test.unreachable } };
    expect(await action(away, view.id)).toEqual(view);
    const closed = await closeRun(test.as(agent), { runId: run.runId });
    const text = `action ${view.id} failed in part: 3 succeeded, 3 failed, 1 never tried`;
    expect(closed).toMatchObject({ state: 'COMPLETE', notes: [{ kind: 'objects-never-tried', text }] });

    const events = await test.find({ run: run.runId });
    const emitters = await test.control.trail.reader.emitters([...new Set(events.map((e) => e.entry.emitter.id))]);
    const emitterStates = new Map(emitters.map(({ _id, ...state }) => [_id, state]));
    const integrity = { state: 'intact', size: await test.control.trail.reader.size() } as const;
    const control = await test.find({ control: { $exists: true } });
    const { statements } = diagnose({ events, control, integrity, emitterStates });
    const said = statements.filter(({ kind }) => kind === 'step').map(renderStatement);
    expect(said.join()).toContain('failed in part: 3 succeeded, 3 failed, 1 never tried');
  });

  it('asked for again with the same id is the same action, and with other parameters a conflict', async () => {
    const id = uuidv7() as EventId;
    const first = await perform('writeNote', { note: 'once', text: 'a' }, { id });
    const again = await Promise.all([1, 2, 3].map(() => perform('writeNote', { note: 'once', text: 'a' }, { id })));
    for (const view of again) expect(view).toEqual(first);
    expect(effectsOn('once')).toHaveLength(1);
    await expect(perform('writeNote', { note: 'once', text: 'b' }, { id })).rejects.toMatchObject({
      code: 'ID_CONFLICT',
    });
    await expect(
      perform('writeNote', { note: 'once', text: 'a' }, { id, runId: (await test.run()).runId }),
    ).rejects.toMatchObject({ code: 'ID_CONFLICT' });
  });

  it('records each attempt that the vendor turns away, waits as it asks, and tries again', async () => {
    test.vendor.faults.push({ kind: 'status', status: 429, retryAfterS: 1 }, { kind: 'status', status: 429 });
    const began = performance.now();
    const view = await perform('writeNote', { note: 'busy', text: 'x' });
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(view).toMatchObject({ state: 'SUCCEEDED', attempts: 3 });
    expect(effectsOn('busy')).toHaveLength(1);
    const events = await test.entries(view.id);
    const calls = events.filter(({ entry }) => entry.phase === 'attempt' || entry.phase === 'outcome');
    expect(calls.map(({ entry }) => [entry.phase, entry.attempt, entry.outcome, entry.error?.code])).toEqual([
      ['attempt', 1, undefined, undefined],
      ['outcome', 1, 'retry', 'RATE_LIMITED'],
      ['attempt', 2, undefined, undefined],
      ['outcome', 2, 'retry', 'RATE_LIMITED'],
      ['attempt', 3, undefined, undefined],
      ['outcome', 3, 'success', undefined],
    ]);
    expect(calls[1]?.entry.error).toEqual({ code: 'RATE_LIMITED', httpStatus: 429, retryAfterMs: 1000 });
    expect(events.map(({ entry }) => entry.emitter.sequence)).toEqual(events.map((_, position) => position + 1));
  });

  it('gives up after as many attempts as it may make', async () => {
    for (let call = 0; call < 3; call += 1) test.vendor.faults.push({ kind: 'status', status: 429 });
    const view = await perform('writeNote', { note: 'always busy', text: 'x' });
    expect(view).toMatchObject({ state: 'FAILED', outcome: 'failure', error: 'RATE_LIMITED', attempts: 3 });
    expect(effectsOn('always busy')).toHaveLength(0);
  });

  it('ends with the first refusal that would not pass by itself', async () => {
    for (const [status, code] of [
      [401, 'UNAUTHENTICATED'],
      [403, 'FORBIDDEN'],
      [404, 'NOT_FOUND'],
      [409, 'CONFLICT'],
      [422, 'INVALID_REQUEST'],
    ] as const) {
      test.vendor.faults.push({ kind: 'status', status });
      const view = await perform('writeNote', { note: `refused ${status}`, text: 'x' });
      expect(view).toMatchObject({ state: 'FAILED', error: code, attempts: 1 });
      expect(effectsOn(`refused ${status}`)).toHaveLength(0);
    }
  });

  it('whose effect does not read back as it should has failed', async () => {
    test.vendor.shows = 'something else';
    const view = await perform('writeNote', { note: 'altered', text: 'x' });
    test.vendor.shows = undefined;
    expect(view).toMatchObject({ state: 'FAILED', error: 'VERIFICATION_FAILED' });
    const verified = (await test.entries(view.id)).at(-1);
    expect(verified?.entry).toMatchObject({ phase: 'verified', outcome: 'failure' });
    expect(content(verified, 'readBack')).toMatchObject({ text: 'something else' });
  });

  it('is denied where the agent was never meant to do it, and nothing is attempted', async () => {
    await test.change({
      change: 'principal.register',
      principal: agent,
      kind: 'agent',
      roles: ['agent'],
      owner: 'omar',
      declared: [{ system: 'hubspot', actions: ['record.read'] }],
    });
    const view = await perform('writeNote', { note: 'undeclared', text: 'x' });
    await test.change({
      change: 'principal.register',
      principal: agent,
      kind: 'agent',
      roles: ['agent'],
      owner: 'omar',
      declared: [
        {
          system: 'hubspot',
          actions: ['record.read', 'record.update', 'record.create', 'record.delete', 'message.send'],
        },
      ],
    });
    expect(view).toMatchObject({ state: 'DENIED', outcome: 'denied', error: 'POLICY_DENIED', attempts: 0 });
    expect(steps(await test.entries(view.id))).toEqual([
      'intent record.update -',
      'decision authorization.decide denied',
      'decision authorization.decide success',
      'outcome record.update denied',
    ]);
    expect(effectsOn('undeclared')).toHaveLength(0);
  });

  it('is denied where the user it acts for did not delegate it', async () => {
    await test.change({ change: 'delegation.revoke', delegation: 'dana-to-agent' });
    const view = await perform('writeNote', { note: 'undelegated', text: 'x' });
    await test.change({
      change: 'delegation.grant',
      delegation: 'dana-to-agent-2',
      from: user,
      to: agent,
      scope: [
        {
          system: 'hubspot',
          actions: ['record.read', 'record.update', 'record.create', 'record.delete', 'message.send'],
        },
      ],
      expires: new Date(Date.now() + 86_400_000).toISOString(),
    });
    expect(view).toMatchObject({ state: 'DENIED', error: 'POLICY_DENIED' });
    expect(steps(await test.entries(view.id)).slice(1, 3)).toEqual([
      'decision authorization.decide success',
      'decision authorization.decide denied',
    ]);
    expect(effectsOn('undelegated')).toHaveLength(0);
  });

  it('is decided again where control state changes between decision and attempt', async () => {
    const change = once(() =>
      test.change({ change: 'principal.register', principal: 'new', kind: 'human', roles: [] }),
    );
    interception = { before: async (events) => (isPhase('attempt')(events) ? change() : undefined) };
    const view = await perform('writeNote', { note: 'moved', text: 'x' });
    interception = {};
    expect(view.state).toBe('SUCCEEDED');
    const events = await test.entries(view.id);
    expect(steps(events)).toEqual([
      'intent record.update -',
      ...decided,
      ...decided,
      'attempt record.update -',
      'outcome record.update success',
      'verified record.update success',
    ]);
    const epochs = events.flatMap(({ entry }) => entry.authorization?.controlEpoch ?? []);
    expect(epochs[2]).toBeGreaterThan(epochs[0]!);
    expect(events[5]?.entry.basis?.decisions).toEqual(events.slice(3, 5).map(({ entry }) => entry.id));
    expect(effectsOn('moved')).toHaveLength(1);
  });

  describe('when the kill flag is set', () => {
    const suspendOnce = () => once(() => test.change({ change: 'instance.suspend' }));
    const resume = () => test.change({ change: 'instance.resume' });

    it('before it is decided, is denied', async () => {
      await suspendOnce()();
      const view = await perform('writeNote', { note: 'suspended', text: 'x' });
      await resume();
      expect(view).toMatchObject({ state: 'DENIED', error: 'SUSPENDED', attempts: 0 });
      expect(effectsOn('suspended')).toHaveLength(0);
    });

    it('between the decision and the attempt, is denied', async () => {
      const suspend = suspendOnce();
      interception = { before: async (events) => (isPhase('attempt')(events) ? suspend() : undefined) };
      const view = await perform('writeNote', { note: 'suspended 2', text: 'x' });
      interception = {};
      await resume();
      expect(view).toMatchObject({ state: 'DENIED', error: 'SUSPENDED', attempts: 0 });
      expect(effectsOn('suspended 2')).toHaveLength(0);
    });

    it('between the recorded attempt and the call, makes no call, and says so', async () => {
      const suspend = suspendOnce();
      interception = { after: async (events) => (isPhase('attempt')(events) ? suspend() : undefined) };
      const view = await perform('writeNote', { note: 'suspended 3', text: 'x' });
      interception = {};
      await resume();
      expect(view).toMatchObject({ state: 'DENIED', error: 'SUSPENDED', attempts: 1 });
      expect(steps(await test.entries(view.id)).slice(3)).toEqual([
        'attempt record.update -',
        'outcome record.update denied',
      ]);
      expect(effectsOn('suspended 3')).toHaveLength(0);
    });
  });

  it('ends as not configured where the instance has no credential for the system', async () => {
    await test.change({ change: 'connector.disable', system: 'hubspot', credential: 'notebook' });
    const view = await perform('writeNote', { note: 'unconfigured', text: 'x' });
    expect(view).toMatchObject({ state: 'FAILED', outcome: 'failure', error: 'NOT_CONFIGURED', attempts: 0 });
    await test.configureConnector();
  });

  it('ends where its parameters were erased, or are not those that were asked for', async () => {
    interception = { parameters: () => ({ state: 'erased' }) };
    const erased = await perform('writeNote', { note: 'erased', text: 'x' });
    expect(erased).toMatchObject({ state: 'FAILED', error: 'CONTENT_ERASED', attempts: 0 });
    const other = { tool: 'hubspot.writeNote', params: { note: 'changed', text: 'other' } };
    interception = { parameters: () => ({ state: 'present', content: other }) };
    const changed = await perform('writeNote', { note: 'changed', text: 'x' });
    interception = {};
    expect(changed).toMatchObject({ state: 'DENIED', error: 'PARAMETERS_CHANGED', attempts: 0 });
    for (const note of ['erased', 'changed']) expect(effectsOn(note)).toHaveLength(0);
  });

  it('waits while the trail is away, at whatever step, and is carried out once', async () => {
    const away = new Map<string, number>();
    const fail = (events: readonly EventInput[]): void => {
      const step = `${events[0]?.phase} ${events[0]?.action}`;
      const times = (away.get(step) ?? 0) + 1;
      away.set(step, times);
      if (times <= 2) throw new TrailError('TRAIL_UNAVAILABLE', 'away');
    };
    // Before it is written, and after it was: then nobody knows.
    for (const when of ['before', 'after'] as const) {
      away.clear();
      interception = { [when]: (events: readonly EventInput[]) => Promise.resolve(events).then(fail) };
      const view = await perform('writeNote', { note: `trail away ${when}`, text: 'x' });
      interception = {};
      expect(view).toMatchObject({ state: 'SUCCEEDED', attempts: 1 });
      expect(effectsOn(`trail away ${when}`)).toHaveLength(1);
      expect(steps(await test.entries(view.id))).toHaveLength(6);
      expect(away.size).toBe(4);
    }
  });

  it('that is no tool, or does not fit the tool, is refused before anything is recorded', async () => {
    const before = await test.control.trail.reader.size();
    await expect(perform('unheardOf', {})).rejects.toMatchObject({ code: 'TOOL_UNKNOWN' });
    await expect(perform('writeNote', { note: 'x', text: 'y', secret: 'canary' })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.not.stringContaining('canary'),
    });
    await expect(perform('writeNote', { note: 1, text: 'y' })).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(await test.control.trail.reader.size()).toBe(before);
  });

  it('is looked up by its id, and another thing or an unknown id is not found', async () => {
    const view = await perform('writeNote', { note: 'looked up', text: 'x' });
    expect(await action(test.as('omar'), view.id)).toEqual(view);
    for (const id of [uuidv7(), runId])
      await expect(action(test.as('omar'), id as EventId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('belongs to the agent of the run alone', async () => {
    await expect(
      performAction(test.as('omar'), { runId, tool: 'hubspot.writeNote', params: { note: 'x', text: 'y' } }),
    ).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(perform('writeNote', { note: 'x', text: 'y' }, { runId: uuidv7() as RunId })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
