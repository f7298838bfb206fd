import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { FileKeyProvider } from '../../trail/keys/file-provider.ts';
import { KeyUses } from '../../trail/keys/uses.ts';
import { openTrail } from '../../trail/trail.ts';
import { event } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

let test: TestTrail;
beforeAll(async () => {
  test = await openTestTrail();
  test.tails();
});
afterAll(() => test.close());

const uses = async (expected: number) => {
  const { reader } = test.trail;
  for (const deadline = performance.now() + 60_000; ; await delay(20)) {
    await reader.fresh(10_000);
    const found = await reader.find({ action: 'key.use' }, { limit: 100 });
    if (found.length >= expected || performance.now() > deadline) return reader.withParts(found, () => true);
  }
};

describe('the first use of a key by a process', () => {
  it('is an event, one for each key and process, with the id of the key and nothing of it', async () => {
    for (const kind of ['api', 'worker']) {
      const keys = new FileKeyProvider(test.keysFolder);
      keys.uses = new KeyUses(kind);
      const trail = await openTrail(test.instance, test.origin, { clients: test.database.clients, keys });
      for (let n = 0; n < 3; n += 1) await trail.writer.append([event()], 'platform');
    }
    const found = await uses(4);
    const contents = found.map(
      ({ parts }) => (parts!['key'] as unknown as { content: { key: string; process: string } }).content,
    );
    expect(contents.map(({ key, process }) => `${process.split('/')[0]} ${key}`).toSorted()).toEqual([
      'api epoch/1',
      'api signing/1',
      'worker epoch/1',
      'worker signing/1',
    ]);
    expect(contents.every((content) => Object.keys(content).length === 2)).toBe(true);
  });
});
