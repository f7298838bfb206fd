import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordEvents } from '../../api/operations/events.ts';
import { handOff } from '../../api/operations/handoffs.ts';
import { closeRun } from '../../api/operations/runs.ts';
import type { PrincipalId, RunId } from '../../schema/ids.ts';
import { agent, openTestRuns, type TestRuns } from './open.ts';

describe('what an agent reports for a run', () => {
  let test: TestRuns;
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work();
  });
  afterAll(() => test.close());

  let emitters = 0;
  const runtimeOf = (run: { runId: RunId; correlationId: string }) => {
    const id = `runtime-${(emitters += 1)}`;
    return (sequence: number, changes: Record<string, unknown> = {}) => ({
      id: uuidv7(),
      correlationId: run.correlationId,
      runId: run.runId,
      spanId: randomBytes(8).toString('hex'),
      emitter: { id, sequence },
      eventTime: new Date().toISOString(),
      actor: { principal: agent, kind: 'agent' },
      action: 'tool.call',
      phase: 'observation',
      system: 'agent',
      ...changes,
    });
  };
  const send = async (...events: object[]) =>
    (await recordEvents(test.as(agent), events)).map(({ status, refusal }) => refusal?.code ?? status);

  it('is refused where there is no such run, or the run has another correlation id', async () => {
    const run = await test.run();
    const other = await test.run();
    const event = runtimeOf(run);
    const lone = event(3, { runId: undefined, correlationId: randomBytes(16).toString('hex') });
    const notOurs = event(2, { runId: uuidv7() });
    expect(await send(event(1), notOurs, event(2, { correlationId: other.correlationId }), event(2), lone)).toEqual([
      'accepted',
      'BAD_INPUT',
      'BAD_INPUT',
      'accepted',
      'accepted',
    ]);
    const [refused] = await recordEvents(test.as(agent), [notOurs]);
    expect(refused?.refusal?.message).toBe('runId: no run of this instance has this id');
  });

  it('is taken after the closing where it fills a gap, and the run can then be closed again as complete', async () => {
    const run = await test.run();
    const event = runtimeOf(run);
    const last = event(3);
    expect(await send(event(1), last)).toEqual(['accepted', 'accepted']);
    const closed = await closeRun(test.as(agent), { runId: run.runId });
    expect(closed).toMatchObject({ state: 'INCOMPLETE', missing: [{ kind: 'emitter-gap' }] });
    expect(await send(event(4), runtimeOf(run)(1), last, event(2))).toEqual([
      'RUN_CLOSED',
      'RUN_CLOSED',
      'duplicate',
      'accepted',
    ]);
    expect(await closeRun(test.as(agent), { runId: run.runId })).toMatchObject({ state: 'COMPLETE', missing: [] });
    expect(await closeRun(test.as(agent), { runId: run.runId })).toMatchObject({ state: 'COMPLETE', missing: [] });
    const closings = await test.find({ run: run.runId, action: 'run.close' });
    expect(closings.map(({ entry }) => [entry.outcome, entry.emitter.sequence])).toEqual([
      ['failure', 2],
      ['success', 3],
    ]);
    expect(await send(event(4))).toEqual(['RUN_CLOSED']);
  });

  it('can not be a hand-over once the run is closed', async () => {
    const { runId } = await test.run();
    const input = { runId, to: 'omar' as PrincipalId, reason: 'look at it' };
    await handOff(test.as(agent), input);
    await closeRun(test.as(agent), { runId });
    await expect(handOff(test.as(agent), input)).rejects.toMatchObject({ code: 'RUN_CLOSED' });
  });
});
