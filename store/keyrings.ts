/**
 * Rotation of keys, as the log's entries say: which epoch key wraps, which is done with, which signing keys are in use.
 * Each is one write of one document. What an entry names must have been made before; making and destroying keys is
 * the keeper's (trail/keys/).
 */
import type { MongoClient } from 'mongodb';
import { numberOfKeyId, signingKeyId, epochKeyId } from '../domain/signing-schedule.ts';
import type { ControlChange } from '../schema/control.ts';
import type { InstanceId } from '../schema/ids.ts';
import { keyringsOf, type EpochState, type KeyringDocument } from '../trail/keys/keyring.ts';
import { verifierKeysOf } from '../trail/keys/signing.ts';
import { toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';

type Rotate = Extract<ControlChange, { change: 'key.rotate' }>;
type Retire = Extract<ControlChange, { change: 'key.retire' }>;
type Destroy = Extract<ControlChange, { change: 'key.destroy' }>;

const written = { at: { $type: 'timestamp' as const } };

export const findKeyring = async (client: MongoClient, instance: InstanceId): Promise<KeyringDocument | undefined> =>
  (await keyringsOf(client).findOne({ _id: instance })) ?? undefined;

/** Changes the keyring, unless this entry or a later one already did. Every process drops what it holds of the old one. */
const changeKeyring = async (
  { client, instance, index }: AppliedEntry,
  changes: { readonly $set: object; readonly $unset?: object },
  state?: { readonly epoch: number; readonly state: EpochState },
): Promise<void> => {
  await keyringsOf(client).updateOne(
    { _id: instance, index: { $lt: index } },
    {
      ...changes,
      $set: { ...changes.$set, index, ...(state && { 'epochs.$[one].state': state.state }) },
      $inc: { generation: 1 },
      $currentDate: written,
    } as never,
    state && { arrayFilters: [{ 'one.epoch': state.epoch }] },
  );
};

export const planKeyRotation = async (applied: AppliedEntry, change: Rotate): Promise<Plan> => {
  switch (change.key) {
    case 'master':
      return toWrite(() => changeKeyring(applied, { $set: { master: change.to } }));
    case 'epoch':
      return planEpoch(applied, change);
    case 'signing':
      return planSigning(applied, change);
    default:
      return change.key satisfies never;
  }
};

const planEpoch = async (applied: AppliedEntry, { from, to }: Rotate): Promise<Plan> => {
  const keyring = await findKeyring(applied.client, applied.instance);
  const next = numberOfKeyId('epoch', to);
  const made = keyring?.epochs.find(({ epoch }) => epoch === next);
  if (!keyring || next === undefined || !made) return toVoid('NOT_FOUND', `the key ${to} was not made before`);
  if (keyring.index === applied.index) return toWrite(() => Promise.resolve());
  if (from !== epochKeyId(keyring.current) || made.state !== 'made')
    return toVoid(
      'CONFLICT',
      `${epochKeyId(keyring.current)} is in use, and ${to} is ${made.state}; rotate from there`,
    );
  if (keyring.previous !== undefined)
    return toVoid('CONFLICT', `the rotation from ${epochKeyId(keyring.previous)} has not ended; wait for it`);
  return toWrite(() =>
    changeKeyring(applied, { $set: { current: next, previous: keyring.current } }, { epoch: next, state: 'live' }),
  );
};

const planSigning = async ({ client, instance, index }: AppliedEntry, { to, vkey }: Rotate): Promise<Plan> => {
  const found = await verifierKeysOf(client).findOne({ _id: `${instance}/${to}` });
  if (!found || found.vkey !== vkey)
    return toVoid('NOT_FOUND', `the key ${to} with this verifier key was not made before`);
  if (found.from !== undefined && found.from !== index) return toVoid('CONFLICT', `${to} is in use already`);
  return toWrite(async () => {
    await verifierKeysOf(client).updateOne(
      { _id: found._id, from: { $exists: false } },
      { $set: { from: index }, $currentDate: written },
    );
  });
};

export const planKeyRetirement = async (applied: AppliedEntry, { key, id }: Retire): Promise<Plan> => {
  switch (key) {
    case 'epoch':
      return planClosing(applied, id);
    case 'signing':
      return planSigningEnd(applied, id);
    default:
      return key satisfies never;
  }
};

const planClosing = async (applied: AppliedEntry, id: string): Promise<Plan> => {
  const keyring = await findKeyring(applied.client, applied.instance);
  const found = keyring?.epochs.find(({ epoch }) => epochKeyId(epoch) === id);
  if (!keyring || !found) return toVoid('NOT_FOUND', `there is no key ${id}`);
  if (keyring.index === applied.index) return toWrite(() => Promise.resolve());
  if (found.epoch === keyring.current || found.state !== 'live')
    return toVoid('CONFLICT', `${id} is ${found.epoch === keyring.current ? 'the current one' : found.state}`);
  return toWrite(() =>
    changeKeyring(
      applied,
      { $set: {}, ...(keyring.previous === found.epoch && { $unset: { previous: '' } }) },
      { epoch: found.epoch, state: 'closed' },
    ),
  );
};

const planSigningEnd = async ({ client, instance, index }: AppliedEntry, id: string): Promise<Plan> => {
  const keys = await verifierKeysOf(client)
    .find({ _id: { $gte: `${instance}/`, $lt: `${instance}0` } })
    .toArray();
  const found = keys.find(({ version }) => signingKeyId(version) === id);
  if (!found) return toVoid('NOT_FOUND', `there is no key ${id}`);
  if (found.until === index) return toWrite(() => Promise.resolve());
  const inUse = keys.filter(({ from, until, vkey }) => {
    const sameLog = vkey.split('+')[0] === found.vkey.split('+')[0];
    return sameLog && from !== undefined && until === undefined;
  });
  if (!inUse.includes(found) || inUse.length < 2)
    return toVoid('CONFLICT', `${id} is not in use, or no other key is; rotate first`);
  return toWrite(async () => {
    await verifierKeysOf(client).updateOne(
      { _id: found._id, until: { $exists: false } },
      { $set: { until: index }, $currentDate: written },
    );
  });
};

export const planKeyDestruction = async (applied: AppliedEntry, { id }: Destroy): Promise<Plan> => {
  const keyring = await findKeyring(applied.client, applied.instance);
  const found = keyring?.epochs.find(({ epoch }) => epochKeyId(epoch) === id);
  if (!keyring || !found) return toVoid('NOT_FOUND', `there is no key ${id}`);
  if (keyring.index === applied.index) return toWrite(() => Promise.resolve());
  if (found.state !== 'closed')
    return toVoid('CONFLICT', `${id} is ${found.state}; only a key that was retired can be destroyed`);
  return toWrite(() => changeKeyring(applied, { $set: {} }, { epoch: found.epoch, state: 'destroying' }));
};
