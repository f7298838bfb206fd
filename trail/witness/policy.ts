/** The witnesses of an instance, as the control applier put them in force (store/witnesses.ts). */
import type { Collection, MongoClient, Timestamp } from 'mongodb';
import { parseCosignerVkey, type CosignerKey } from '../../domain/tree/cosignature.ts';
import type { Quorum } from '../../domain/tree/witnessPolicy.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { controlDatabase, majority } from '../database.ts';

export interface WitnessesDocument {
  /** The instance. */
  _id: string;
  instance: string;
  /** Log index of the entry that set it. */
  index: number;
  witnesses: { vkey: string; url: string }[];
  threshold: number;
  withinMs: number;
  /** When the log received that entry. */
  since: Date;
  /** When it was applied, by MongoDB's own clock. */
  at: Timestamp;
}

export interface ConfiguredWitness {
  readonly key: CosignerKey;
  readonly vkey: string;
  /** Submission prefix (c2sp.org/tlog-witness), without a slash at its end. */
  readonly url: string;
}

export interface WitnessPolicy {
  readonly instance: InstanceId;
  /** At least one. */
  readonly witnesses: readonly ConfiguredWitness[];
  readonly quorum: Quorum;
  readonly withinMs: number;
  readonly index: number;
  /** When the log received the entry that set it: nobody waited for a quorum before. */
  readonly since: Date;
  /** When it came into force. */
  readonly applied: Date;
}

export const witnessesOf = (client: MongoClient): Collection<WitnessesDocument> =>
  client.db(controlDatabase).collection<WitnessesDocument>('witnesses', majority);

/** The policy in force; undefined where no witness is asked. */
export const findWitnessPolicy = async (
  client: MongoClient,
  instance: InstanceId,
): Promise<WitnessPolicy | undefined> => {
  const document = await witnessesOf(client).findOne({ _id: instance });
  return document ? policyOf(document) : undefined;
};

/** Of all instances that have witnesses. */
export const listWitnessPolicies = async (client: MongoClient): Promise<WitnessPolicy[]> => {
  const documents = await witnessesOf(client)
    .find({ 'witnesses.0': { $exists: true } })
    .sort({ _id: 1 })
    .toArray();
  return documents.flatMap((document) => policyOf(document) ?? []);
};

const policyOf = (document: WitnessesDocument): WitnessPolicy | undefined => {
  if (document.witnesses.length === 0) return undefined;
  const witnesses = document.witnesses.map(({ vkey, url }) => ({ key: parseCosignerVkey(vkey), vkey, url }));
  return {
    instance: document.instance as InstanceId,
    witnesses,
    quorum: { witnesses: witnesses.map(({ key }) => key), threshold: document.threshold },
    withinMs: document.withinMs,
    index: document.index,
    since: document.since,
    applied: new Date(document.at.getHighBitsUnsigned() * 1000),
  };
};
