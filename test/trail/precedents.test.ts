/** How far a writer looks back for what stands in the log, where its index is not to be trusted. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RecentEntry } from '../../trail/recent.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { PartReader } from '../../trail/parts.ts';
import { Precedents } from '../../trail/precedents.ts';
import { emitterOf, event } from './events.ts';
import { openTestTrail, type TestTrail } from './open.ts';

let test: TestTrail;
beforeEach(async () => {
  test = await openTestTrail();
});
afterEach(() => test.close());

it('goes on to rely on the index once that was made anew', async () => {
  test.tails();
  const { trail, instance, database } = test;
  for (const length of [40, 20])
    await trail.writer.append(
      Array.from({ length }, () => event()),
      'platform',
    );
  await trail.reader.fresh(60_000);
  const client = database.clients.appender;
  const precedents = new Precedents(
    instance,
    client,
    new PartReader(instance, new Secrets(instance, test.keys, client), client),
  );
  const next = emitterOf('grows');
  const grow = () => {
    const events: RecentEntry[] = Array.from({ length: 2000 }, () => next());
    precedents.recent.add(precedents.recent.end, events);
  };
  const lookBack = async () => {
    await precedents.find([event()]);
    return precedents.recent.from;
  };
  let isRepaired = false;
  precedents.reset(60, { indexTrustedTo: 40, isRepaired: async () => isRepaired });
  expect(await lookBack()).toBe(40);
  grow();
  expect(await lookBack()).toBe(40);
  isRepaired = true;
  grow();
  expect(await lookBack()).toBe(60);
});
