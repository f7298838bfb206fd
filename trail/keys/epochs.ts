/**
 * What the keeper does to epoch keys: makes the next one, destroys one that is done with, and sees to it that what was
 * destroyed stays so. `client` is of the keeper's duty throughout.
 */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { TrailError } from '../errors.ts';
import { epochDocument, keyringsOf, referenceOf, type EpochDocument, type KeyringDocument } from './keyring.ts';
import type { Destruction, KeyProvider } from './provider.ts';

const written = { at: { $type: 'timestamp' as const } };

export const requireKeyring = async (client: MongoClient, instance: InstanceId): Promise<KeyringDocument> => {
  const keyring = await keyringsOf(client).findOne({ _id: instance });
  if (!keyring) throw new TrailError('NOT_FOUND', 'the instance has no keys yet');
  return keyring;
};

/**
 * Makes the epoch after the current one ready: its key exists and the keyring names it, nothing is under it yet. The same
 * one again where it was made before. A crash before the keyring names it leaves a key that the next call takes up
 * (file) or an unused one (KMS, found by its alias).
 */
export const makeNextEpoch = async (
  client: MongoClient,
  provider: KeyProvider,
  instance: InstanceId,
): Promise<EpochDocument> => {
  const keyring = await requireKeyring(client, instance);
  const made = keyring.epochs.find(({ state }) => state === 'made');
  if (made) return made;
  const epoch = Math.max(...keyring.epochs.map((one) => one.epoch)) + 1;
  const document = await epochDocument(provider, await provider.createEpoch(instance, epoch));
  await keyringsOf(client).updateOne(
    { _id: instance, 'epochs.epoch': { $ne: epoch } },
    { $push: { epochs: document }, $inc: { generation: 1 }, $currentDate: written },
  );
  // Where another call was first, its key counts; ours is forgotten.
  const kept = (await requireKeyring(client, instance)).epochs.find((one) => one.epoch === epoch)!;
  if (kept.check !== document.check) provider.forget(referenceOf(instance, document));
  return kept;
};

/**
 * Has the provider destroy an epoch key of which an entry said so, and notes what became of it. Idempotent: a crash
 * between the two is made good by the next call.
 */
export const destroyEpoch = async (
  client: MongoClient,
  provider: KeyProvider,
  instance: InstanceId,
  epoch: number,
): Promise<{ readonly keyId: string; readonly destruction: Destruction }> => {
  const document = (await requireKeyring(client, instance)).epochs.find((one) => one.epoch === epoch);
  if (!document || !['destroying', 'pending', 'destroyed'].includes(document.state))
    throw new TrailError('NOT_FOUND', `no entry says that epoch key ${epoch} is to be destroyed`);
  const destruction = await provider.destroy(referenceOf(instance, document));
  const until = destruction.state === 'pending' ? destruction.until : (document.until ?? new Date());
  await keyringsOf(client).updateOne(
    { _id: instance, epochs: { $elemMatch: { epoch, state: { $ne: destruction.state } } } },
    {
      $set: { 'epochs.$.state': destruction.state, 'epochs.$.until': until },
      $inc: { generation: 1 },
      $currentDate: written,
    },
  );
  return { keyId: document.keyId, destruction };
};
