import { fileURLToPath } from 'node:url';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activityTrace } from '../../activities/trace.ts';
import { withTrace } from '../../api/trace.ts';
import type { TraceContext } from '../../domain/traceContext.ts';
import type { CorrelationId, SpanId } from '../../schema/ids.ts';
import { ask, nudge } from './hops/workflows.ts';
import { openTestRuns, type TestRuns } from './open.ts';

const trace = (): TraceContext => ({
  correlationId: randomBytes(16).toString('hex') as CorrelationId,
  spanId: randomBytes(8).toString('hex') as SpanId,
});

/** In each test the activity at the end says which correlation it was carried out under. */
describe('correlation travels', () => {
  let test: TestRuns;
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work({
      workflowsPath: fileURLToPath(new URL('hops/workflows.ts', import.meta.url)),
      activities: { seen: (hop: string) => Promise.resolve(JSON.stringify([hop, activityTrace()])) },
    });
  });
  afterAll(() => test.close());

  const options = () => ({
    taskQueue: test.services.taskQueues!.actions,
    workflowId: `${test.control.instance}/hop/${randomBytes(6).toString('hex')}`,
  });
  const saw = (hop: string, given: TraceContext) => JSON.stringify([hop, given]);

  it('from the client through the workflow to the activity', async () => {
    const given = trace();
    const result = await withTrace(given, () =>
      test.temporal.workflow.execute('direct', { ...options(), args: ['activity'] }),
    );
    expect(result).toBe(saw('activity', given));
  });

  it('to a child', async () => {
    const given = trace();
    const result = await withTrace(given, () =>
      test.temporal.workflow.execute('parent', { ...options(), args: ['child'] }),
    );
    expect(result).toBe(saw('child', given));
  });

  it('through continue-as-new, more than once', async () => {
    const given = trace();
    const result = await withTrace(given, () =>
      test.temporal.workflow.execute('again', { ...options(), args: ['continued'] }),
    );
    expect(result).toBe(saw('continued', given));
  });

  it('with a signal of a client, which has a correlation of its own', async () => {
    const [ofStart, ofSignal] = [trace(), trace()];
    const handle = await withTrace(ofStart, () => test.temporal.workflow.start('waiting', options()));
    await withTrace(ofSignal, () => handle.signal(nudge, 'signal'));
    expect(await handle.result()).toBe(saw('signal', ofSignal));
  });

  it('with the signal that starts a workflow', async () => {
    const given = trace();
    const handle = await withTrace(given, () =>
      test.temporal.workflow.signalWithStart('waiting', {
        ...options(),
        signal: nudge,
        signalArgs: ['signal with start'],
      }),
    );
    expect(await handle.result()).toBe(saw('signal with start', given));
  });

  it('with a signal of another workflow', async () => {
    const given = trace();
    const handle = await test.temporal.workflow.start('waiting', options());
    await withTrace(given, () =>
      test.temporal.workflow.execute('signalling', { ...options(), args: [handle.workflowId, 'workflow signal'] }),
    );
    expect(await handle.result()).toBe(saw('workflow signal', given));
  });

  it('with an update', async () => {
    const [ofStart, ofUpdate] = [trace(), trace()];
    const handle = await withTrace(ofStart, () => test.temporal.workflow.start('waiting', options()));
    const answer = await withTrace(ofUpdate, () => handle.executeUpdate(ask, { args: ['update'] }));
    expect(answer).toBe(saw('update', ofUpdate));
    await handle.terminate();
  });

  it('with a schedule', async () => {
    const given = trace();
    const { taskQueue, workflowId } = options();
    const schedule = await withTrace(given, () =>
      test.temporal.schedule.create({
        scheduleId: workflowId.replaceAll('/', '-'),
        spec: {},
        action: { type: 'startWorkflow', workflowType: 'direct', taskQueue, workflowId, args: ['schedule'] },
      }),
    );
    await schedule.trigger();
    const started = await expect
      .poll(async () => (await schedule.describe()).info.recentActions[0]?.action.workflow, { timeout: 60_000 })
      .toBeDefined()
      .then(async () => (await schedule.describe()).info.recentActions[0]!.action.workflow);
    const result = await test.temporal.workflow.getHandle(started.workflowId).result();
    expect(result).toBe(saw('schedule', given));
    await schedule.delete();
  });

  it('as nothing where there is none', async () => {
    const result = await test.temporal.workflow.execute('direct', { ...options(), args: ['none'] });
    expect(result).toBe(JSON.stringify(['none', undefined]));
  });
});
