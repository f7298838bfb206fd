/** Self-verification as a workflow: what it looks at, what it records, and what happens when something is away. */
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { Binary } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FinalFailure } from '../../activities/failures.ts';
import type { CheckInput, CheckKind, RepairInput } from '../../domain/verification/contract.ts';
import type { CorrelationId, PrincipalId } from '../../schema/ids.ts';
import { seeAll, type IndexedEvent } from '../../trail/reader.ts';
import { alertsOfCheck, lastChecks } from '../../trail/verification/last-checks.ts';
import { openTestLog, type TestLog } from './open.ts';
import { openTestWork, type TestWork } from './work.ts';

let test: TestLog;
let work: TestWork;
beforeAll(async () => {
  test = await openTestLog();
  await test.appendBatches([100, 200, 50, 300, 50, 200, 100]);
  work = await openTestWork(test);
  await work.work();
});
afterAll(async () => {
  await work.close();
  await test.close();
});

const start = async (kind: CheckKind, changes: Partial<CheckInput> = {}, by = work) => {
  const input: CheckInput = { instance: test.instance, kind, check: randomUUID(), ...changes };
  const handle = await by.temporal.workflow.start('selfVerification', {
    workflowId: `${test.instance}/verification/${input.check}`,
    taskQueue: by.taskQueues.maintenance,
    args: [input],
  });
  return { handle, checkId: input.check! };
};

const ended = async (started: ReturnType<typeof start>) => {
  const { handle, checkId } = await started;
  const result = (await handle.result()) as { index: number; differences: number };
  await test.trail.reader.fresh(30_000);
  const found = await test.trail.reader.find({ corr: checkId.replaceAll('-', '') }, { limit: 100 });
  return { ...result, checkId, entries: await test.trail.reader.withParts(found, seeAll) };
};

const check = (kind: CheckKind, changes: Partial<CheckInput> = {}) => ended(start(kind, changes));

/** Workers of their own, which a test lets fail. */
const apart = async (story: (own: TestWork) => Promise<void>) => {
  const own = await openTestWork(test);
  try {
    await story(own);
  } finally {
    await own.close();
  }
};

const report = (entries: readonly IndexedEvent[]) => {
  const part = entries.at(-1)?.parts?.['report'];
  return part?.state === 'present' ? (part.content as Record<string, unknown>) : undefined;
};

const alerts = async (checkId: string) => {
  const found = await alertsOfCheck(test.trail.reader, checkId.replaceAll('-', '') as CorrelationId);
  return found.map(({ entry }) => [entry.resource?.kind, entry.endpoint, entry.outcome, entry.error?.code]);
};

describe('a check of everything', () => {
  it('is recorded from beginning to end, and succeeds where nothing differs', async () => {
    const requestedBy = { principal: 'ana' as PrincipalId, kind: 'human' } as const;
    const { entries, index } = await check('full', { requestedBy });
    expect(entries.map(({ entry }) => [entry.action, entry.phase, entry.outcome, entry.emitter.sequence])).toEqual([
      ['integrity.check', 'intent', undefined, 1],
      ['integrity.check', 'outcome', 'success', 2],
    ]);
    expect(entries[0]?.entry.actor).toMatchObject(requestedBy);
    expect(entries[1]).toMatchObject({ index, entry: { count: 1000, resource: { kind: 'self-check.full' } } });
    expect(report(entries)).toMatchObject({
      size: 1000,
      differences: 0,
      unchecked: [],
      looked: { entries: 1000, opened: 1000, rows: 1000, tiles: 3 },
    });
  });

  it('goes on over any number of continue-as-new, and finds the same', async () => {
    const size = await test.trail.reader.size();
    const { entries } = await check('full', { stepsPerHistory: 1 });
    expect(report(entries)).toMatchObject({ differences: 0, unchecked: [], looked: { entries: size, rows: size } });
  });

  it('goes on where it was when its worker ends, and looks at nothing twice', () =>
    apart(async (own) => {
      const size = await test.trail.reader.size();
      const begun = Promise.withResolvers<void>();
      const dying = await own.work({
        // The worker is told to stop while the step is under way, and never answers for it.
        checkStage: (input) => {
          if (input.stage !== 'tiles') return own.activities.checkStage(input);
          begun.resolve();
          const { cancellationSignal } = Context.current();
          return new Promise((_, reject) =>
            cancellationSignal.addEventListener('abort', () => reject(new Error('stopped')), { once: true }),
          );
        },
      });
      const going = start('full', {}, own);
      await begun.promise;
      await dying.stop();
      await own.work();
      const { entries } = await ended(going);
      expect(report(entries)).toMatchObject({ unchecked: [], looked: { entries: size, tiles: 3 } });
    }));

  it('says which stage could not be looked at, and looks at the others', () =>
    apart(async (own) => {
      await own.work({
        checkStage: (input) =>
          input.stage === 'tiles'
            ? Promise.reject(new FinalFailure('TRAIL_UNAVAILABLE'))
            : own.activities.checkStage(input),
      });
      const { entries } = await ended(start('full', {}, own));
      expect(entries.at(-1)?.entry).toMatchObject({ outcome: 'failure', error: { code: 'UNAVAILABLE' } });
      expect(report(entries)).toMatchObject({
        differences: 0,
        unchecked: [{ stage: 'tiles', code: 'TRAIL_UNAVAILABLE' }],
      });
    }));

  it('raises an alert for each kind of difference, which names kind, place and first bad index', async () => {
    const kept = await test.as('events').findOne({ _id: 480 as never });
    await test.as('events').updateOne({ _id: 480 as never }, { $set: { corr: 'f'.repeat(32) } });
    await test.as('tiles').deleteOne({ _id: '0/1' as never });
    const { entries, differences, checkId } = await check('full');
    expect(differences).toBe(2);
    expect(await alerts(checkId)).toEqual([
      ['tile-missing', 'tiles/0/1:256', 'failure', 'VERIFICATION_FAILED'],
      ['row-altered', 'events/480:480', 'failure', 'VERIFICATION_FAILED'],
    ]);
    expect(entries.map(({ entry }) => entry.emitter.sequence)).toEqual([1, 2, 3, 4]);
    expect(entries.at(-1)?.entry).toMatchObject({ outcome: 'failure', error: { code: 'VERIFICATION_FAILED' } });
    expect(kept).not.toBeNull();
  });

  it('is what the latest result is taken from, and a forged row of the index is not', async () => {
    const { index } = await check('full');
    const row = await test.as('events').findOne({ _id: index as never });
    const forged = Buffer.from((row!['entry'] as Binary).toString('utf8').replace('"failure"', '"success"'));
    await test
      .as('events')
      .updateOne({ _id: index as never }, { $set: { entry: new Binary(forged), outcome: 'success' } });
    const last = await lastChecks(test.trail.reader);
    expect(last.full?.index).toBeLessThan(index);
    await test.as('events').replaceOne({ _id: index as never }, row!);
    expect((await lastChecks(test.trail.reader)).full?.index).toBe(index);
  });
});

describe('a repair', () => {
  it('makes index, tiles and emitters what the record says, and is recorded', async () => {
    await test.as('emitters').updateOne({ _id: 'test' as never }, { $set: { high: 7 } });
    await test.as('events').deleteOne({ _id: 3 as never });
    const repair = randomUUID();
    const requestedBy = { principal: 'rosa' as PrincipalId, kind: 'human' } as const;
    const input: RepairInput = { instance: test.instance, requestedBy, repair, stepsPerHistory: 1 };
    await work.temporal.workflow.execute('repairProjections', {
      workflowId: `${test.instance}/verification/${repair}`,
      taskQueue: work.taskQueues.maintenance,
      args: [input],
    });
    await test.trail.reader.fresh(30_000);
    const found = await test.trail.reader.find({ corr: repair.replaceAll('-', '') }, { limit: 10 });
    const entries = await test.trail.reader.withParts(found, seeAll);
    expect(entries.map(({ entry }) => [entry.action, entry.phase, entry.outcome])).toEqual([
      ['integrity.repair', 'intent', undefined],
      ['integrity.repair', 'outcome', 'success'],
    ]);
    expect(entries[0]?.entry.actor).toMatchObject(requestedBy);
    expect(report(entries)).toMatchObject({ mended: { index: 2, tiles: 1, emitters: 1 } });
    const { differences } = await check('full');
    expect(differences).toBe(0);
  });
});

describe('a sample', () => {
  it('looks at the places that its seed gives, and what hangs on them', async () => {
    const { entries } = await check('sample', { seed: 'seed-1' });
    expect(entries.at(-1)?.entry).toMatchObject({ outcome: 'success', resource: { kind: 'self-check.sample' } });
    expect(report(entries)).toMatchObject({ seed: 'seed-1', differences: 0, unchecked: [] });
    const { looked } = report(entries) as { looked: Record<string, number> };
    expect(looked['entries']).toBeGreaterThanOrEqual(50);
    expect(looked['checkpoints']).toBeGreaterThan(0);
  });
});
