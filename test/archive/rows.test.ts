import { Timestamp } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArchivedRow } from '../../trail/archive/record.ts';
import { forgetOlder, remember, rowKey, type SeenRows } from '../../trail/archive/seen-rows.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

describe('wrapped keys and subjects', () => {
  let test: TestTrail;
  beforeAll(async () => {
    test = await openTestTrail();
  });
  afterAll(() => test.close());

  it("carry MongoDB's time of their writing, so that the archive finds what is new", async () => {
    const next = emitterOf('rows');
    await test.trail.writer.append(
      [
        next({
          subjects: [{ system: 'salesforce', kind: 'Contact', id: 'c-1' }],
          parts: [{ name: 'after', content: 'x', subject: 0 }],
        }),
      ],
      'platform',
    );
    for (const name of ['keys', 'subjects']) {
      const rows = await test.database.admin
        .db('tk_control')
        .collection(name)
        .find({ instance: test.instance })
        .toArray();
      expect(rows.length).toBeGreaterThan(0);
      for (const { at } of rows) {
        expect(at).toBeInstanceOf(Timestamp);
        expect((at as Timestamp).t).toBeGreaterThan(0);
      }
    }
  });
});

describe('rows that were copied', () => {
  const row = (id: string, t: number): ArchivedRow => ({
    collection: 'keys',
    row: { _id: id, instance: 'acme', at: new Timestamp({ t, i: 1 }) },
  });

  it('are remembered for as long as they may be looked at again, so that the memory of them is bounded', () => {
    const seen: SeenRows = new Map();
    for (let t = 1; t <= 1000; t += 1) {
      remember(seen, row(`k-${t}`, t), { t, i: 1 });
      forgetOlder(seen, { t, i: 1 });
    }
    // The next range looks at rows after 940.0.
    expect([...seen.values()]).toEqual(Array.from({ length: 61 }, (_, position) => 940 + position));
    remember(seen, row('old', 939), { t: 1000, i: 1 });
    expect(seen.has(rowKey(row('old', 939)))).toBe(false);
    expect(seen.has(rowKey(row('k-940', 940)))).toBe(true);
  });
});
