/**
 * Rebuilds an instance from its archive: the record, then everything that is derived from it, by the same tails that keep
 * it up to date otherwise. It becomes visible only when all of it is there; its log is closed (trail/closing.ts).
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../schema/ids.ts';
import { rebuildRecord, type RebuildOptions, type Rebuilt } from '../trail/archive/rebuild.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import { indexTail, tailsOf } from '../trail/projection.ts';
import { createIndexTail } from '../trail/tails/index-tail.ts';
import { TailRunner } from '../trail/tails/runner.ts';
import { createTileTail } from '../trail/tails/tile-tail.ts';
import { createControlTail } from './applier.ts';
import { controlTail } from './control-state.ts';
import { controlCollection, type AppliedDocument } from './newest-entry.ts';
import type { ControlCollection } from './provisioning/collections.ts';

export interface RebuildInstanceOptions extends Omit<RebuildOptions, 'progress'> {
  /** Opens the payload of control entries. */
  readonly keys: KeyProvider;
  readonly progress: (stage: 'record' | 'projections', entries: number, of: number) => void;
}

const pollMs = 250;

export const rebuildInstance = async (options: RebuildInstanceOptions): Promise<Rebuilt> => {
  const { admin, instance, progress } = options;
  const rebuilt = await rebuildRecord({ ...options, progress: (entries, of) => progress('record', entries, of) });
  await hideInstance(admin, instance, rebuilt);
  await forgetControlState(admin, instance);
  await deriveProjections(options, rebuilt.closing.checkpoint.size);
  await showInstance(admin, instance);
  return rebuilt;
};

interface InstanceDocument {
  _id: string;
  logId: string;
  origin: string;
  created: Date;
  state?: string;
}

/** The instance's record, not active yet. One that survived is kept. */
const hideInstance = async (
  admin: MongoClient,
  instance: InstanceId,
  { first: { origin, receivedTime } }: Rebuilt,
): Promise<void> => {
  const instances = controlCollection<InstanceDocument>(admin, 'instances');
  const logId = origin.slice(origin.lastIndexOf('/') + 1);
  await instances.updateOne(
    { _id: instance },
    {
      $set: { state: 'provisioning' },
      $setOnInsert: { logId, origin, created: new Date(receivedTime ?? 0) },
    },
    { upsert: true },
  );
};

const showInstance = async (admin: MongoClient, instance: InstanceId): Promise<void> => {
  await controlCollection<InstanceDocument>(admin, 'instances').updateOne({ _id: instance }, { $unset: { state: '' } });
};

const derived = [
  'principals',
  'identities',
  'tokens',
  'policies',
  'versions',
  'delegations',
  'witnesses',
] as const satisfies readonly ControlCollection[];

/**
 * What survived of the control state may rest on entries that are lost: it is made anew from those that are there. Staged
 * credentials are kept, since the archive brought them.
 */
const forgetControlState = async (admin: MongoClient, instance: InstanceId): Promise<void> => {
  const cursor = await tailsOf(admin, instance).findOne({ _id: controlTail });
  if (cursor) return;
  for (const collection of derived)
    await controlCollection<AppliedDocument>(admin, collection).deleteMany({ instance });
  await controlCollection<AppliedDocument>(admin, 'connectors').deleteMany({ instance, index: { $exists: true } });
  await controlCollection(admin, 'instances').deleteMany({
    _id: { $in: [`${instance}/control`, `${instance}/archive`] },
  });
};

const deriveProjections = async (
  { admin, instance, keys, progress }: RebuildInstanceOptions,
  size: number,
): Promise<void> => {
  const failed = Promise.withResolvers<never>();
  const runner = new TailRunner({
    owner: randomUUID(),
    // A control entry that is void was recorded as such when it was: here there is nothing to add.
    tails: [createIndexTail(admin), createTileTail(admin), createControlTail(admin, keys, async () => undefined)],
    onError: (_tail, _instance, error) => failed.reject(error),
  });
  failed.promise.catch(() => undefined);
  runner.follow(instance);
  try {
    for (;;) {
      const cursors = await tailsOf(admin, instance)
        .find({ _id: { $in: [indexTail, 'tiles', controlTail] } })
        .toArray();
      const done = cursors.length === 3 ? Math.min(...cursors.map(({ next }) => next)) : 0;
      progress('projections', done, size);
      if (done >= size) return;
      await Promise.race([delay(pollMs), failed.promise]);
    }
  } finally {
    await runner.stop();
  }
};
