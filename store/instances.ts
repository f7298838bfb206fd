/**
 * The instances: what was given to each when it was made and never changes (the record), and its switch (the kill flag),
 * together with how far the control applier has come. An instance that is being created has a record that only those see
 * who create it and who follow its log: to everybody else it is as absent as one that nobody thought of.
 */
import { randomBytes } from 'node:crypto';
import { MongoServerError, type MongoClient } from 'mongodb';
import type { EventId, InstanceId } from '../schema/ids.ts';
import { toWrite, type AppliedEntry, type Plan, type VoidReason } from './change.ts';
import { derivedEventId } from './derived-id.ts';
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
  /** The request that it is created for; absent where it was there before there were requests. */
  request?: string;
  /** Absent once it is active: the state in which nothing is left to say. */
  state?: 'provisioning' | 'undoing';
}

/** How far an instance's creation has come. */
export type InstanceState = 'provisioning' | 'undoing' | 'active';

export interface CreationRecord extends InstanceRecord {
  readonly state: InstanceState;
  readonly request?: EventId;
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

/** Everybody but those who create: what is not active is not there. */
const active = { logId: { $exists: true }, state: { $exists: false } } as const;

/**
 * Takes a name for a request, with a log id of its own. `logHost`: where logs are served, `host[:port]`; kept from then
 * on. `taken`: the name has a record of another request. Inserting is the compare-and-set: of two requests one has it.
 */
export const reserveInstance = async (
  client: MongoClient /* provisioner duty */,
  { instance, request, logHost, now }: { instance: InstanceId; request: EventId; logHost: string; now: Date },
): Promise<'reserved' | 'active' | 'taken'> => {
  const logId = randomBytes(16).toString('hex');
  const document: RecordDocument = {
    _id: instance,
    logId,
    origin: `${logHost}/log/${logId}`,
    created: now,
    request,
    state: 'provisioning',
  };
  try {
    await recordsOf(client).insertOne(document);
    return 'reserved';
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === 11_000)) throw error;
  }
  const kept = await findCreation(client, instance);
  if (kept?.request !== request || kept.state === 'undoing') return 'taken';
  return kept.state === 'active' ? 'active' : 'reserved';
};

/** The one write after which an instance is there. False where the name is not this request's to give. */
export const activateInstance = async (
  client: MongoClient /* provisioner duty */,
  instance: InstanceId,
  request: EventId,
): Promise<boolean> => {
  await recordsOf(client).updateOne({ _id: instance, request, state: 'provisioning' }, { $unset: { state: '' } });
  const kept = await findCreation(client, instance);
  return kept?.request === request && kept.state === 'active';
};

/** From here on nothing more is made for this request. False where there is nothing of it to undo, or it is active. */
export const beginUndoing = async (
  client: MongoClient /* provisioner duty */,
  instance: InstanceId,
  request: EventId,
): Promise<boolean> => {
  await recordsOf(client).updateOne({ _id: instance, request, state: 'provisioning' }, { $set: { state: 'undoing' } });
  const kept = await findCreation(client, instance);
  return kept?.request === request && kept.state === 'undoing';
};

/** The last of undoing: the name is free again. */
export const releaseName = async (
  client: MongoClient /* provisioner duty */,
  instance: InstanceId,
  request: EventId,
): Promise<void> => {
  await recordsOf(client).deleteOne({ _id: instance, request, state: 'undoing' });
};

/** An instance in whatever state it is. For those who create instances, and for them alone. */
export const findCreation = async (client: MongoClient, instance: InstanceId): Promise<CreationRecord | undefined> => {
  const document = await recordsOf(client).findOne({ _id: instance, logId: { $exists: true } });
  if (document === null) return undefined;
  const { request, state = 'active' } = document;
  return { ...record(document), state, ...(request !== undefined && { request: request as EventId }) };
};

/**
 * The record of an instance, made where it has none, and active from the start: for one that is set up within this
 * process, before anybody else can ask for it.
 */
export const ensureInstance = async (
  client: MongoClient /* provisioner duty */,
  instance: InstanceId,
  logHost: string,
  now: Date,
): Promise<InstanceRecord> => {
  const request = derivedEventId(0, `instance\n${instance}`);
  await reserveInstance(client, { instance, request, logHost, now });
  await activateInstance(client, instance, request);
  const kept = await findInstance(client, instance);
  if (kept === undefined) throw new Error(`the record of the instance ${instance} was written but can't be read back`);
  return kept;
};

export const findInstance = async (client: MongoClient, instance: InstanceId): Promise<InstanceRecord | undefined> => {
  const document = await recordsOf(client).findOne({ _id: instance, ...active });
  return document === null ? undefined : record(document);
};

export const findInstanceByLog = async (client: MongoClient, logId: string): Promise<InstanceRecord | undefined> => {
  const document = await recordsOf(client).findOne({ ...active, logId });
  return document === null ? undefined : record(document);
};

/** Instances by name: all, or at most so many after one. */
export const listInstances = async (
  client: MongoClient,
  { after = '', limit = 0 }: { readonly after?: string; readonly limit?: number } = {},
): Promise<InstanceRecord[]> =>
  (
    await recordsOf(client)
      .find({ ...active, _id: { $gt: after } })
      .sort({ _id: 1 })
      .limit(limit)
      .toArray()
  ).map(record);

/** One of `listFollowed`. */
export const findFollowed = async (client: MongoClient, instance: InstanceId): Promise<InstanceRecord | undefined> => {
  const found = await findCreation(client, instance);
  return found?.state === 'undoing' ? undefined : found;
};

/** Those, and the ones that are being created: their logs have entries that must be applied before they are active. */
export const listFollowed = async (client: MongoClient): Promise<InstanceRecord[]> =>
  (
    await recordsOf(client)
      .find({ logId: { $exists: true }, state: { $ne: 'undoing' } })
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
