/** The schedules of self-verification: there by themselves, and not to be switched off from Temporal alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureCheckSchedules, type CheckSchedulesOptions } from '../../stack/temporal/checkSchedules.ts';
import { scheduledCheckId, type CheckKind } from '../../domain/verification/contract.ts';
import { overdueKinds, usualIntervalsMs } from '../../domain/verification/schedule.ts';
import { lastChecks } from '../../trail/verification/last-checks.ts';
import { openTestLog, type TestLog } from './open.ts';
import { openTestWork, type TestWork } from './work.ts';

let test: TestLog;
let work: TestWork;
const mended: CheckKind[] = [];
let options: CheckSchedulesOptions;
beforeAll(async () => {
  test = await openTestLog();
  await test.appendBatches([20]);
  work = await openTestWork(test);
  await work.work();
  options = {
    client: work.temporal,
    intervalsMs: usualIntervalsMs,
    taskQueue: work.taskQueues.maintenance,
    onMended: (_instance, kind) => mended.push(kind),
  };
});
afterAll(async () => {
  for (const kind of ['sample', 'full'] as const) await handle(kind).delete();
  await work.close();
  await test.close();
});

const handle = (kind: CheckKind) => work.temporal.schedule.getHandle(scheduledCheckId(test.instance, kind));

describe('the schedules of an instance', () => {
  it('are made by whichever worker is first, and begin checks that read their input', async () => {
    await Promise.all([ensureCheckSchedules(options, test.instance), ensureCheckSchedules(options, test.instance)]);
    await handle('full').trigger();
    const before = await test.trail.reader.size();
    while (!(await lastChecks(test.trail.reader)).full) await test.trail.reader.fresh(100);
    const { full } = await lastChecks(test.trail.reader);
    expect(full?.index).toBeGreaterThanOrEqual(before);
    expect(full?.entry.outcome).toBe('success');
    expect(mended).toEqual([]);
  });

  it('go on when somebody paused one, and come as often as they should when somebody changed that', async () => {
    await handle('full').pause('not today');
    await handle('sample').update((previous) => ({
      ...previous,
      spec: { intervals: [{ every: '100 days' }] },
    }));
    await ensureCheckSchedules(options, test.instance);
    expect(mended.toSorted()).toEqual(['full', 'sample']);
    expect((await handle('full').describe()).state.paused).toBe(false);
    expect((await handle('sample').describe()).spec.intervals).toMatchObject([{ every: usualIntervalsMs.sample }]);
    await ensureCheckSchedules(options, test.instance);
    expect(mended).toHaveLength(2);
  });

  it('are made again when somebody removed them', async () => {
    await handle('sample').delete();
    await ensureCheckSchedules(options, test.instance);
    expect((await handle('sample').describe()).state.paused).toBe(false);
  });
});

describe('an absence that is too long', () => {
  const day = 86_400_000;
  const about = { intervalsMs: usualIntervalsMs, createdMs: 0 };

  it.each([
    ['nothing was ever checked', {}, 3 * day, ['sample']],
    ['nothing was ever checked for long', {}, 15 * day, ['sample', 'full']],
    ['the log is new', {}, day, []],
    ['both came in time', { sample: 99 * day, full: 90 * day }, 100 * day, []],
    ['the whole has not come', { sample: 99 * day, full: 80 * day }, 100 * day, ['full']],
  ])('is told where %s', (_what, last, nowMs, overdue) => {
    expect(overdueKinds(last, { ...about, nowMs })).toEqual(overdue);
  });
});
