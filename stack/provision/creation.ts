/** What creates instances, made of what a process holds: the steps, and what fills the new log. */
import type { MongoClient } from 'mongodb';
import { InstanceSteps, type InstanceArchive } from '../../activities/instances/steps.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { openControlState } from '../../store/control-state.ts';
import { findCreation } from '../../store/instances.ts';
import { provisionInstanceDatabase } from '../../store/provisioning/provision.ts';
import type { ArchiveStore } from '../../trail/archive/store.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { newEventId } from '../../trail/recorder.ts';
import type { Trail } from '../../trail/trail.ts';
import { temporalSecret } from '../temporal/codec.ts';
import { provisionInstance, type ProvisionedInstance } from './provision-instance.ts';
import type { TokenSecrets } from './missing-tokens.ts';
import type { InstanceSpec } from './spec.ts';

export interface CreationParts {
  readonly clients: {
    readonly admin: MongoClient;
    readonly provisioner: MongoClient;
    readonly appender: MongoClient;
    readonly anchor: MongoClient;
    readonly reader: MongoClient;
    /** Held where connectors are set up too. */
    readonly applier?: MongoClient;
  };
  readonly keys: KeyProvider;
  readonly archive: InstanceArchive;
  readonly publicUrl: string;
}

/** The place is another log's: of an instance that had this name, or of another installation. */
export class ArchiveOccupiedError extends Error {
  override readonly name = 'ArchiveOccupiedError';
  readonly code = 'ARCHIVE_OCCUPIED';
}

/**
 * A new instance begins with an empty place under its own credential. Nothing is written there before it is active, so
 * an undone one leaves nothing.
 */
export const emptyArchive = (archiveOf: (instance: InstanceId) => Promise<ArchiveStore>): InstanceArchive => ({
  async prepare(instance) {
    const store = await archiveOf(instance);
    for await (const { name } of store.list(''))
      throw new ArchiveOccupiedError(`${store.place} holds ${name} already; a new instance begins with an empty place`);
  },
  discard: () => Promise.resolve(),
});

export const instanceSteps = ({ clients, keys, archive, publicUrl }: CreationParts): InstanceSteps =>
  new InstanceSteps({
    clients,
    keys,
    archive,
    secretNames: [temporalSecret],
    logHost: publicUrl.replace(/^https?:\/\//, ''),
    nowMs: Date.now,
  });

export interface Furnishing {
  readonly knownTokens?: TokenSecrets;
  readonly keepTokens?: (secrets: TokenSecrets) => Promise<void>;
  readonly waitMs?: number;
}

/** Fills a log with what its specification says; a worker must be running, which applies the entries. */
export const furnish = (
  { clients, keys }: Pick<CreationParts, 'clients' | 'keys'>,
  trail: Trail,
  spec: InstanceSpec,
  { knownTokens = {}, keepTokens = () => Promise.resolve(), waitMs }: Furnishing = {},
): Promise<ProvisionedInstance> =>
  provisionInstance({
    clients: { applier: clients.applier ?? clients.appender, reader: clients.reader },
    keys,
    trail,
    state: openControlState(clients.reader, trail.instance),
    spec,
    knownTokens,
    keepTokens,
    nowMs: Date.now,
    ...(waitMs !== undefined && { waitMs }),
  });

/** An instance that this process sets up by itself, by the same steps as any other. */
export interface OwnInstance {
  readonly trail: Trail;
  /** Needs a running worker, which applies the entries. */
  readonly furnish: (spec: InstanceSpec, furnishing?: Furnishing) => Promise<ProvisionedInstance>;
  /** The last step. Changes nothing where it is active. */
  readonly activate: () => Promise<void>;
}

/**
 * Every step up to the first entry. What an earlier start, or another process at the same time, began is gone on with:
 * the request that the record names is everybody's. One that is active gets the collections and roles that it lacks.
 */
export const beginOwnInstance = async (parts: CreationParts, instance: InstanceId): Promise<OwnInstance> => {
  const steps = instanceSteps(parts);
  const { admin, provisioner } = parts.clients;
  const furnished = (trail: Trail) => (spec: InstanceSpec, furnishing?: Furnishing) =>
    furnish(parts, trail, spec, furnishing);
  const kept = await findCreation(provisioner, instance);
  if (kept?.state === 'active') {
    await provisionInstanceDatabase(admin, instance);
    const trail = await steps.open(instance, kept.origin);
    return { trail, furnish: furnished(trail), activate: () => Promise.resolve() };
  }
  const reference = { platform: instance, instance, request: kept?.request ?? newEventId() };
  await steps.reserve(reference);
  await steps.prepareDatabase(reference);
  await steps.prepareKeys(reference);
  await steps.prepareArchive(reference);
  const trail = await steps.begin(reference);
  return { trail, furnish: furnished(trail), activate: () => steps.activate(reference) };
};
