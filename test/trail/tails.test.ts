import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allSegments, parseEntry, segmentEntries, segmentsOf } from '../../trail/segments.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import type { TailedBatch } from '../../trail/tails/tail.ts';
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
