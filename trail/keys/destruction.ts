/**
 * Destroys single secrets: a tombstone takes the place of each, so that it is never made again under its name, not
 * even where it never was. Live, that makes unreadable what is under it; a copy of the wrapped secret in a backup dies with
 * the epoch key that it is under, which a rotation of the epoch and the destruction of the key before bring about.
 */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { writtenNow } from '../database.ts';
import { keyringFreshMs, keyringsOf } from './keyring.ts';
import { keysOf } from './secrets.ts';

/** After this time since `destroySecrets` returned, no process that runs uses one of them any more, in milliseconds. */
export const outOfUseAfterMs = keyringFreshMs;

const namesPerCall = 1000;

/**
 * `client`: keeper duty. Idempotent; a crash leaves some of them destroyed, and the same call again destroys the rest.
 * The keyring's generation is raised last, so that no process drops what it holds before the tombstones stand.
 */
export const destroySecrets = async (
  client: MongoClient,
  instance: InstanceId,
  names: readonly string[],
): Promise<void> => {
  for (let start = 0; start < names.length; start += namesPerCall) {
    const tombstones = names.slice(start, start + namesPerCall).map((name) => {
      const _id = `${instance}/${name}`;
      const replacement = { instance, epoch: 0, destroyed: new Date(), at: writtenNow };
      return { replaceOne: { filter: { _id, destroyed: { $exists: false } }, replacement, upsert: true } };
    });
    await keysOf(client)
      .bulkWrite(tombstones, { ordered: false })
      .catch((error: unknown) => {
        // A tombstone that stands already makes the upsert insert a second document of its id.
        if (!onlyPresent(error)) throw error;
      });
  }
  await keyringsOf(client).updateOne(
    { _id: instance },
    { $inc: { generation: 1 }, $currentDate: { at: { $type: 'timestamp' } } },
  );
};

const onlyPresent = (error: unknown): boolean => {
  const { writeErrors, code } = error as { writeErrors?: { code: number } | { code: number }[]; code?: number };
  const all = [writeErrors ?? []].flat();
  return all.length > 0 ? all.every((one) => one.code === 11_000) : code === 11_000;
};
