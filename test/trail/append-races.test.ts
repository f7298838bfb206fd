/** Interleavings of preparing, committing, other writers and the index, each brought about at one named read. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventInput } from '../../schema/event.ts';
import type { AppendResult } from '../../trail/append-item.ts';
import { TrailError } from '../../trail/errors.ts';
import { emptyHead, walkToEnd } from '../../trail/log-end.ts';
import { emittersOf, indexOf, indexTail, tailsOf } from '../../trail/projection.ts';
import { segmentsOf } from '../../trail/segments.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import { emitterOf, event } from './events.ts';
import { interceptReads, type InterceptedReads } from './interceptedReads.ts';
import { openTestTrail, type TestTrail } from './open.ts';

describe('an append that races', () => {
  let test: TestTrail;
  /** The writer under test; `test.trail` is another process's. */
  let trail: Trail;
  let reads: InterceptedReads;
  beforeEach(async () => {
    test = await openTestTrail();
    const { clients } = test.database;
    reads = interceptReads(clients.appender);
    trail = await openTrail(test.instance, test.origin, {
      clients: { ...clients, appender: reads.client },
      keys: test.keys,
    });
  });
  afterEach(() => test.close());

  const append = (by: Trail, events: readonly EventInput[]): Promise<AppendResult[]> =>
    by.writer.append(events, 'platform');

  const idsInLog = async (): Promise<string[]> => {
    const ids: string[] = [];
    await walkToEnd(segmentsOf(test.database.admin, test.instance), emptyHead, (_segment, entries) => {
      ids.push(...entries.map(({ id }) => id));
    });
    return ids;
  };

  it('settles every call, also those that fill a batch while an earlier one is being prepared', async () => {
    const next = emitterOf('many');
    const many = Array.from({ length: 300 }, () => next());
    let second: Promise<AppendResult[]> | undefined;
    reads.before.set('tails', (read) => {
      if (read === 1) second = append(trail, many);
    });
    expect(await append(trail, [next()])).toMatchObject([{ status: 'accepted' }]);
    const results = await second!;
    expect(results.every(({ status }) => status === 'accepted')).toBe(true);
  }, 30_000);

  it('finds a duplicate that was indexed, and left the window, between the check and the segment', async () => {
    const [x, y] = [event(), event()];
    const filling = Array.from({ length: 300 }, () => event());
    let ahead: Promise<AppendResult[]> | undefined;
    // The first batch is checked; then another process appends both events. The second batch is checked before the
    // writer has seen that, and when the first one is prepared again, the index has taken both in.
    reads.after.set('events', async (read) => {
      if (read !== 1) return;
      await append(test.trail, [y, x]);
      ahead = append(trail, [x, ...filling]);
    });
    // The end of the walk past the other process's segment.
    reads.after.set('segments', async (read) => {
      if (read !== 4) return;
      test.tails();
      expect(await test.trail.reader.fresh(30_000)).toBe(0);
    });
    expect(await append(trail, [y])).toMatchObject([{ status: 'duplicate' }]);
    expect((await ahead!)[0]).toMatchObject({ status: 'duplicate', receipt: { index: 1 } });
    const ids = await idsInLog();
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('finds a duplicate while the index is dropped, to be made again from the record', async () => {
    const runner = test.tails();
    const [x, taken] = [event(), emitterOf('dropped')()];
    await append(test.trail, [x, taken]);
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    await runner.stop();
    reads.before.set('events', async (read) => {
      if (read !== 1) return;
      const { admin } = test.database;
      await tailsOf(admin, test.instance).updateOne({ _id: indexTail }, { $set: { next: 0 } });
      await indexOf(admin, test.instance).deleteMany({});
      await emittersOf(admin, test.instance).deleteMany({});
    });
    const results = await append(trail, [x, event({ emitter: taken.emitter })]);
    expect(results).toMatchObject([
      { status: 'duplicate', receipt: { index: 0 } },
      { status: 'refused', refusal: { code: 'SEQUENCE_CONFLICT' } },
    ]);
  });

  it('refuses a taken sequence number also after the emitters could not be read', async () => {
    test.tails();
    const first = emitterOf('unreadable')();
    await append(test.trail, [first]);
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    reads.before.set('emitters', (read) => {
      if (read === 1) throw new Error('cut');
    });
    const other = event({ emitter: first.emitter });
    await expect(append(trail, [other])).rejects.toMatchObject({ code: 'TRAIL_UNAVAILABLE' });
    expect(await append(trail, [other])).toMatchObject([{ status: 'refused', refusal: { code: 'SEQUENCE_CONFLICT' } }]);
  });

  it('takes an event for a duplicate, not for a sequence conflict, that another process appends meanwhile', async () => {
    await append(trail, [event()]);
    test.tails();
    const [z1, z2] = [event(), event()];
    await append(test.trail, [z1]);
    await append(test.trail, [z2]);
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    const x = event();
    // The two reads of the first batch (its ids, and the newest one) come before.
    reads.after.set('events', async (read) => {
      if (read === 3) await append(test.trail, [x]);
    });
    let first: Promise<AppendResult[]> | undefined;
    let boxes = 0;
    // While the second duplicate is compared, the first one's receipt makes the writer catch up with the log.
    reads.before.set('boxes', async () => {
      if ((boxes += 1) === 2) await first;
    });
    first = append(trail, [z1]);
    const [second, raced] = await Promise.all([append(trail, [z2]), append(trail, [x])]);
    expect([...(await first), ...second, ...raced].map(({ status }) => status)).toEqual(Array(3).fill('duplicate'));
  });

  it('refuses a decision that shares its batch with a control entry before it', async () => {
    const suspend = event({ action: 'instance.suspend', control: { change: 'instance.suspend' } });
    const decision = event();
    const [suspended, decided] = await Promise.all([
      append(trail, [suspend]),
      trail.writer.append([decision], 'platform', { ifControlEpoch: -1 }),
    ]);
    expect(suspended).toMatchObject([{ status: 'accepted' }]);
    expect(decided).toMatchObject([{ status: 'refused', refusal: { code: 'STALE_CONTROL_EPOCH' } }]);
    const earlier = event();
    const [earlierDecided] = await Promise.all([
      trail.writer.append([earlier], 'platform', { ifControlEpoch: 0 }),
      append(trail, [event({ action: 'instance.resume', control: { change: 'instance.resume' } })]),
    ]);
    expect(earlierDecided).toMatchObject([{ status: 'accepted' }]);
  });

  it('fails with a TrailError where it can not catch up for a receipt, and gives the receipt the next time', async () => {
    await append(trail, [event()]);
    test.tails();
    const [a, b] = [event(), event()];
    await append(test.trail, [a]);
    await append(test.trail, [b]);
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    let walked = 0;
    reads.before.set('segments', () => {
      if ((walked += 1) === 2) throw new Error('cut');
    });
    const failed: unknown = await append(trail, [b]).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(TrailError);
    expect(failed).toMatchObject({ code: 'TRAIL_UNAVAILABLE', retryable: true });
    expect(await append(trail, [b])).toMatchObject([{ status: 'duplicate', receipt: { index: 2 } }]);
    expect(await append(trail, [event()])).toMatchObject([{ status: 'accepted', receipt: { index: 3 } }]);
  });

  it('marks an event as late that fills a gap which the batch before it opened', async () => {
    const numbered = (sequence: number) => event({ emitter: { id: 'overtaken', sequence } });
    const late = numbered(2);
    let ahead: Promise<AppendResult[]> | undefined;
    reads.after.set('events', (read) => {
      if (read === 1) ahead = append(trail, [late, ...Array.from({ length: 300 }, () => event())]);
    });
    await append(trail, [numbered(5)]);
    const [result] = await ahead!;
    test.tails();
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    expect(result).toMatchObject({ status: 'accepted' });
    expect((await test.trail.reader.byId(late.id))?.entry.flags).toEqual(['late']);
  });
});
