/** The look at what rotations left behind, over all instances. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Document } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { startKeeping } from '../../stack/keeping.ts';
import { controlDatabase } from '../../trail/database.ts';
import { TrailError } from '../../trail/errors.ts';
import { keyringsOf } from '../../trail/keys/keyring.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

let test: TestTrail;
beforeAll(async () => {
  test = await openTestTrail();
});
afterAll(() => test.close());

it('passes over an instance whose keys can not be looked at, and comes to those after it', async () => {
  const { instance, database, keys, trail } = test;
  // By name before the other.
  const refused = `aaa-${instance}` as InstanceId;
  const records = database.admin.db(controlDatabase).collection<Document & { _id: string }>('instances');
  const rings = keyringsOf(database.admin);
  const due = (of: InstanceId) => ({
    epoch: 9,
    state: 'pending' as const,
    keyId: `file:${of}/epoch-9`,
    until: new Date(0),
    provider: 'file',
    check: 'unused',
  });
  const made = new Date();
  for (const _id of [refused, instance])
    await records.updateOne(
      { _id },
      { $setOnInsert: { logId: _id, origin: `localhost/log/${_id}`, created: made } },
      { upsert: true },
    );
  await rings.insertOne({ _id: refused, current: 1, generation: 1, epochs: [due(refused)] } as never);
  await rings.updateOne({ _id: instance }, { $push: { epochs: due(instance) as never } });
  const provider: KeyProvider = Object.assign(Object.create(keys) as KeyProvider, {
    destroy: (reference: Parameters<KeyProvider['destroy']>[0]) =>
      reference.instance === refused
        ? Promise.reject(new TrailError('KEY_UNAVAILABLE', 'the provider refuses'))
        : Promise.resolve({ state: 'destroyed' as const }),
  });
  const errors: (string | undefined)[] = [];
  const keeping = startKeeping({
    clients: database.clients,
    keys: provider,
    trailOf: () => Promise.resolve(trail),
    log: (line) => errors.push((line as { errorCode?: string }).errorCode),
  });
  try {
    await vi.waitFor(
      async () => {
        const ring = await rings.findOne({ _id: instance });
        expect(ring?.epochs.find(({ epoch }) => epoch === 9)?.state).toBe('destroyed');
      },
      { timeout: 20_000, interval: 50 },
    );
    expect(errors).toContain('KEY_UNAVAILABLE');
  } finally {
    await keeping.stop();
    await rings.deleteOne({ _id: refused });
    await records.deleteMany({ _id: { $in: [refused, instance] }, created: made });
  }
});
