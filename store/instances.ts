/**
 * The instances: what was given to each when it was made and never changes (the record), and its switch (the kill flag),
 * together with how far the control applier has come.
 */
import { randomBytes } from 'node:crypto';
import { MongoServerError, type MongoClient } from 'mongodb';
import type { InstanceId } from '../schema/ids.ts';
import { toWrite, type AppliedEntry, type Plan, type VoidReason } from './change.ts';
import { controlCollection } from './newest-entry.ts';

export interface InstanceRecord {
  readonly instance: InstanceId;
  /** Opaque and random: it stands in public URLs and in the name of the log's key. */
  readonly logId: string;
  /** The log's URL prefix without scheme; the name of its key (C2SP tlog-checkpoint). Never changes. */
  readonly origin: string;
  readonly created: Date;
}

interface RecordDocument {
  /** The instance's id. */
  _id: string;
  logId: string;
  origin: string;
  created: Date;
}

interface SwitchDocument {
  /** `<instance>/control` */
  _id: string;
  /** Index of the last control entry that was dealt with, applied or void. */
  epoch: number;
  suspended: boolean;
  /** Log index of the entry that set `suspended`. */
  suspendedIndex: number;
  /** The last entries that were void, oldest first. All of them stand in the log as `control.void`. */
  voids: { index: number; reason: VoidReason }[];
}

const voidsKept = 100;

const recordsOf = (client: MongoClient) => controlCollection<RecordDocument>(client, 'instances');
const switchesOf = (client: MongoClient) => controlCollection<SwitchDocument>(client, 'instances');
const switchId = (instance: InstanceId): string => `${instance}/control`;

const record = ({ _id, logId, origin, created }: RecordDocument): InstanceRecord => ({
  instance: _id as InstanceId,
  logId,
  origin,
  created,
});

/** The record of an instance, made where it has none. `logHost`: where logs are served, `host[:port]`; kept from then on. */
export const ensureInstance = async (
  client: MongoClient /* provisioner duty */,
  instance: InstanceId,
  logHost: string,
  now: Date,
): Promise<InstanceRecord> => {
  const logId = randomBytes(16).toString('hex');
  const document = { _id: instance, logId, origin: `${logHost}/log/${logId}`, created: now };
  try {
    await recordsOf(client).insertOne(document);
  } catch (error) {
    // Its record stands: it was made before, or another process was first.
    if (!(error instanceof MongoServerError && error.code === 11_000)) throw error;
  }
  const kept = await findInstance(client, instance);
  if (kept === undefined) throw new Error(`the record of the instance ${instance} was written but can't be read back`);
  return kept;
};

export const findInstance = async (client: MongoClient, instance: InstanceId): Promise<InstanceRecord | undefined> => {
  const document = await recordsOf(client).findOne({ _id: instance, logId: { $exists: true } });
  return document === null ? undefined : record(document);
};

export const findInstanceByLog = async (client: MongoClient, logId: string): Promise<InstanceRecord | undefined> => {
  const document = await recordsOf(client).findOne({ logId });
  return document === null ? undefined : record(document);
};

/** All instances, by id. */
export const listInstances = async (client: MongoClient): Promise<InstanceRecord[]> =>
  (
    await recordsOf(client)
      .find({ logId: { $exists: true } })
      .sort({ _id: 1 })
      .toArray()
  ).map(record);

/** Index of the last control entry dealt with, -1 for none, and whether the kill flag is set. */
export const findSwitch = async (
  client: MongoClient,
  instance: InstanceId,
): Promise<{ epoch: number; suspended: boolean }> => {
  const document = await switchesOf(client).findOne({ _id: switchId(instance) });
  return { epoch: document?.epoch ?? -1, suspended: document?.suspended ?? false };
};

/** Made before the first entry is applied, so that what follows are plain updates. */
export const ensureSwitch = async (client: MongoClient, instance: InstanceId): Promise<void> => {
  try {
    await switchesOf(client).insertOne({
      _id: switchId(instance),
      epoch: -1,
      suspended: false,
      suspendedIndex: -1,
      voids: [],
    });
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === 11_000)) throw error;
  }
};

/** Entries up to `index` are dealt with; the last of them is void where a reason is given. Never moves back. */
export const advanceEpoch = async (
  client: MongoClient,
  instance: InstanceId,
  index: number,
  voided?: VoidReason,
): Promise<void> => {
  await switchesOf(client).updateOne(
    { _id: switchId(instance), epoch: { $lt: index } },
    {
      $set: { epoch: index },
      ...(voided && { $push: { voids: { $each: [{ index, reason: voided }], $slice: -voidsKept } } }),
    },
  );
};

/** Why an entry is void, undefined where it is not, or was long ago: then the log tells. */
export const findVoid = async (
  client: MongoClient,
  instance: InstanceId,
  index: number,
): Promise<VoidReason | undefined> => {
  const document = await switchesOf(client).findOne({ _id: switchId(instance) }, { projection: { voids: 1 } });
  return document?.voids.find((voided) => voided.index === index)?.reason;
};

export const planSwitch = ({ client, instance, index }: AppliedEntry, suspended: boolean): Plan =>
  toWrite(async () => {
    await switchesOf(client).updateOne(
      { _id: switchId(instance), suspendedIndex: { $lt: index } },
      { $set: { suspended, suspendedIndex: index } },
    );
  });
