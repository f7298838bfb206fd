import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstanceId } from '../../schema/ids.ts';
import { tailsOf } from '../../trail/projection.ts';
import { allSegments, parseEntry, segmentEntries, segmentsOf } from '../../trail/segments.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { InstanceLog } from '../../trail/tails/instance-log.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import type { Tail, TailedBatch } from '../../trail/tails/tail.ts';
import { emitterOf } from './events.ts';
import { interceptReads } from './interceptedReads.ts';
import { openTestTrail, type TestTrail } from './open.ts';

describe('the tail that keeps the index', () => {
  let test: TestTrail;
  beforeAll(async () => {
    test = await openTestTrail();
  });
  afterAll(() => test.close());

  /** One batch a segment. */
  const batches = async (): Promise<TailedBatch[]> => {
    const segments = await segmentsOf(test.database.admin, test.instance).find(allSegments).sort({ _id: 1 }).toArray();
    return segments.map((segment) => ({
      instance: test.instance,
      first: segment._id,
      entries: segmentEntries(segment).map((bytes, position) => ({
        index: segment._id + position,
        bytes,
        leaf: segment.leaves.buffer.subarray(32 * position, 32 * position + 32),
        entry: parseEntry(bytes),
        segment: segment._id,
      })),
    }));
  };

  it('never takes an emitter back to an older state, however late a former owner goes on', async () => {
    const next = emitterOf('frozen');
    for (let call = 0; call < 3; call += 1) await test.trail.writer.append([next(), next()], 'platform');
    const [first, second, third] = await batches();
    const { projector } = test.database.clients;
    const frozen = interceptReads(projector);
    const thawed = Promise.withResolvers<void>();
    const isFrozen = Promise.withResolvers<void>();
    frozen.after.set('emitters', () => {
      isFrozen.resolve();
      return thawed.promise;
    });
    const former = createIndexTail(frozen.client).apply(first!);
    await isFrozen.promise;
    const owner = createIndexTail(projector);
    await owner.apply(first!);
    await owner.apply(second!);
    thawed.resolve();
    await former;
    expect(await test.trail.reader.emitters(['frozen'])).toMatchObject([{ high: 4, missing: [] }]);
    await owner.apply(third!);
    expect(await test.trail.reader.emitters(['frozen'])).toMatchObject([{ high: 6, missing: [] }]);
  });
});

describe('a runner of tails', () => {
  let test: TestTrail;
  let applied: number[];
  let errors: unknown[];
  let runner: TailRunner;
  /** Notes the indexes that it is given. */
  const noting = (name: string, apply: (batch: TailedBatch) => unknown = () => undefined): Tail => ({
    name,
    client: test.database.clients.projector,
    apply: async (batch) => void (await apply(batch)),
  });
  const run = (...tails: Tail[]): TailRunner => {
    runner = new TailRunner({ owner: 'test', tails, onError: (_tail, _instance, error) => errors.push(error) });
    runner.follow(test.instance);
    return runner;
  };
  const following = (name: string) => {
    const wanted = new Map<number, () => void>();
    const tail = noting(name, ({ entries }) => {
      for (const { index } of entries) {
        applied.push(index);
        wanted.get(index)?.();
      }
    });
    return { tail, until: (index: number) => new Promise<void>((resolve) => wanted.set(index, resolve)) };
  };
  beforeEach(async () => {
    test = await openTestTrail();
    applied = [];
    errors = [];
  });
  afterEach(async () => {
    await runner.stop();
    await test.close();
  });

  it('goes on where its lease was lost, above the fence that the cursor has seen, and says so', async () => {
    const next = emitterOf('leased');
    const { admin } = test.database;
    const first = following('notes');
    const seen = first.until(0);
    run(first.tail);
    await test.trail.writer.append([next()], 'platform');
    await seen;
    await runner.stop();
    // As after many changes of owner; then the control database is restored to a state without the lease.
    await tailsOf(admin, test.instance).updateOne({ _id: 'notes' }, { $set: { fence: 7 } });
    await admin
      .db('tk_control')
      .collection<{ _id: string }>('leases')
      .deleteOne({ _id: `${test.instance}/notes` });
    const second = following('notes');
    const again = second.until(1);
    run(second.tail);
    await test.trail.writer.append([next()], 'platform');
    await again;
    expect(applied).toEqual([0, 1]);
    expect(errors).toMatchObject([{ code: 'TRAIL_UNAVAILABLE', message: expect.stringContaining('was lost') }]);
    expect((await tailsOf(admin, test.instance).findOne({ _id: 'notes' }))?.fence).toBe(8);
  });

  it('reads and takes apart each batch once for all tails that stand at the same place', async () => {
    const next = emitterOf('shared');
    await test.trail.writer.append(
      Array.from({ length: 5 }, () => next()),
      'platform',
    );
    const batches: TailedBatch[] = [];
    const both = Promise.withResolvers<void>();
    // Neither goes on before the other has come to the same place.
    const keep = (batch: TailedBatch) => {
      if (batches.push(batch) === 2) both.resolve();
      return both.promise;
    };
    run(noting('one', keep), noting('two', keep));
    await both.promise;
    expect(batches[0]!.entries).toBe(batches[1]!.entries);
    expect(batches[0]!.entries[0]!.entry).toBe(batches[1]!.entries[0]!.entry);
  });

  it('is woken by an append in its own process, and reads what was appended', async () => {
    const next = emitterOf('woken');
    const { tail, until } = following('notes');
    const trail = await test.another({ onAppended: () => runner.wake(test.instance) });
    const woken = vi.spyOn(InstanceLog.prototype, 'wake');
    run(tail);
    const seen = until(0);
    await trail.writer.append([next()], 'platform');
    expect(woken).toHaveBeenCalled();
    await seen;
    woken.mockRestore();
  });
});

describe('waiting for a log', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('ends when somebody says that something was appended, for all who wait, and when the process stops', async () => {
    // No poll ever comes.
    vi.useFakeTimers();
    const log = new InstanceLog('acme' as InstanceId);
    const stopping = new AbortController();
    const waiting = [log.idle(stopping.signal), log.idle(stopping.signal)];
    log.wake();
    expect(await Promise.all(waiting)).toHaveLength(2);
    const stopped = log.idle(stopping.signal);
    stopping.abort();
    await stopped;
    await log.idle(stopping.signal);
  });

  it('is for longer each time, and short again once something came', async () => {
    vi.useFakeTimers();
    const log = new InstanceLog('acme' as InstanceId);
    const { signal } = new AbortController();
    const waitMs = async (): Promise<number> => {
      const from = Date.now();
      const waiting = log.idle(signal);
      await vi.advanceTimersToNextTimerAsync();
      await waiting;
      return Date.now() - from;
    };
    const waits: number[] = [];
    for (let round = 0; round < 12; round += 1) waits.push(await waitMs());
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBeLessThanOrEqual(250);
    log.wake();
    expect(await waitMs()).toBe(waits[0]);
  });
});
