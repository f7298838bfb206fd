import { afterAll, beforeAll, expect, it } from 'vitest';
import { Secrets } from '../../trail/keys/secrets.ts';
import { Subjects } from '../../trail/subjects.ts';
import { openTestTrail, type TestTrail } from './open.ts';

let test: TestTrail;
beforeAll(async () => {
  test = await openTestTrail();
});
afterAll(() => test.close());

const person = (id: string) => ({ system: 'salesforce' as const, kind: 'Contact', id });

it('gives every reference its subject while the cache is being emptied', async () => {
  const { appender } = test.database.clients;
  const secrets = new Secrets(test.instance, test.keys, appender);
  const subjects = new Subjects(test.instance, secrets, appender, { cachedMax: 3 });
  const [a, b] = await subjects.ensure([person('a'), person('b')]);
  const again = await subjects.ensure([person('a'), person('c'), person('b'), person('d'), person('e')]);
  expect(again).toEqual([a, expect.any(String), b, expect.any(String), expect.any(String)]);
  expect(new Set(again).size).toBe(5);
  const found = await subjects.find([person('e'), person('a'), person('nobody'), person('b')]);
  expect(found).toEqual([again[4], a, undefined, b]);
});
