import { Timestamp } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
