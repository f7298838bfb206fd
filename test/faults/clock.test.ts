/** Clocks that jump, and what stands in the record without belonging to the log. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { v7 as uuidv7 } from 'uuid';
import type { EventInput } from '../../schema/event.ts';
import type { Receipt } from '../../trail/append-item.ts';
import { segmentsOf, type SegmentDocument } from '../../trail/segments.ts';
import { event } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';
import { expectInvariants } from './invariants.ts';

const dayMs = 86_400_000;
const log = (test: TestTrail) => ({
  instance: test.instance,
  origin: test.origin,
  vkey: test.trail.vkey,
  admin: test.database.admin,
});

describe('a clock that jumps', () => {
  let test: TestTrail;
  let clockMs = Date.now();
  beforeAll(async () => {
    test = await openTestTrail({ nowMs: () => clockMs });
    test.tails();
  });
  afterAll(() => test.close());

  it('forwards and backwards, loses and doubles nothing, and is told by its flags', async () => {
    const receipts: Receipt[] = [];
    const sent: EventInput[] = [];
    const append = async (one: EventInput) => {
      const [result] = await test.trail.writer.append([one], 'platform');
      if (result?.status !== 'refused') receipts.push(result!.receipt);
      return result!;
    };
    for (const jumpMs of [0, dayMs, -2 * dayMs, 20 * dayMs, -19 * dayMs, -3_600_000]) {
      clockMs += jumpMs;
      const one = event();
      sent.push(one);
      expect((await append(one)).status).toBe('accepted');
      // What was sent under another time of the clock is still known.
      for (const earlier of sent) expect((await append(earlier)).status).toBe('duplicate');
    }
    const { entries } = await expectInvariants(log(test), receipts);
    expect(entries.map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
    // The order of the log is that of the appends, whatever the clock said.
    const flagged = entries.filter(({ flags }) => flags?.some((flag) => flag.startsWith('skew-')));
    expect(flagged.length).toBeGreaterThan(0);
  });

  it('beyond the horizon, refuses what would be too old to be known as a duplicate, and takes it when it is right again', async () => {
    const before = clockMs;
    clockMs = Date.now() + 31 * dayMs;
    const one = event({ id: uuidv7() });
    expect(await test.trail.writer.append([one], 'platform')).toMatchObject([
      { status: 'refused', refusal: { code: 'ID_TOO_OLD' } },
    ]);
    clockMs = before;
    expect(await test.trail.writer.append([one], 'platform')).toMatchObject([{ status: 'accepted' }]);
  });
});

describe('a stray segment', () => {
  let test: TestTrail;
  beforeAll(async () => {
    test = await openTestTrail();
    test.tails();
  });
  afterAll(() => test.close());

  it('far ahead of the log belongs to nobody, until the log comes to its place and says so', async () => {
    const { writer, reader } = test.trail;
    const segments = segmentsOf(test.database.admin, test.instance);
    const append = async (count: number, by = writer) => {
      const results = await by.append(
        Array.from({ length: count }, () => event()),
        'platform',
      );
      return results.map((result) => {
        if (result.status === 'refused') throw new Error(result.refusal.code);
        return result.receipt;
      });
    };
    const receipts = await append(3);
    const first = (await segments.findOne({ _id: 0 }))!;
    const stray: SegmentDocument = { ...first, _id: 1000 };
    await segments.insertOne(stray);
    // Neither who knows the end nor who has to find it takes it for the end.
    receipts.push(...(await append(2)), ...(await append(2, (await test.another()).writer)));
    expect(receipts.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    await reader.fresh(30_000);
    expect(await reader.size()).toBe(7);
    await expectInvariants(log(test), receipts);
    // Where the log would have to grow over it, it stops rather than to take in what nobody appended.
    await expect(append(993).then(() => append(1))).rejects.toMatchObject({ code: 'LOG_INCONSISTENT' });
  });
});
