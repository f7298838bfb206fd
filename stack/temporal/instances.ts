/** What the activities of a worker use of each instance. */
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { ActionInstance } from '../../activities/action/deps.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { openCredential } from '../../store/connector-credentials.ts';
import { openControlState } from '../../store/control-state.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import type { Trail } from '../../trail/trail.ts';
import { temporalSecret, type TemporalKeys } from './codec.ts';

export interface InstanceParts {
  readonly trail: Pick<Trail, 'writer' | 'reader'>;
  readonly instance: InstanceId;
  readonly keys: KeyProvider;
  /** Reader duty. */
  readonly reader: MongoClient;
}

export const actionInstance = ({ trail, instance, keys, reader }: InstanceParts): ActionInstance => {
  const secrets = new Secrets(instance, keys, reader);
  return {
    trail,
    control: openControlState(reader, instance),
    credential: ({ system, credential, credentialVersion, sealed }) =>
      openCredential(reader, secrets, { instance, system, credential, version: credentialVersion }, sealed),
  };
};

/** No key is made for a name that somebody gave a workflow. */
export class UnknownInstance extends Error {
  override readonly name = 'UnknownInstance';
  readonly code = 'NOT_FOUND';
}

const loadsMax = 5;
const reloadMs = 300;

/**
 * The key of each instance's payloads in Temporal, made where there is none. `client`: appender duty. While MongoDB is
 * away a key is asked for a few times: what can't be decrypted fails, and there it is worth a moment's patience. A worker
 * gets names from Temporal, and so from whoever can start workflows there: it says which instances `exists`.
 */
export const temporalKeys = (
  client: MongoClient,
  keys: KeyProvider,
  exists: (instance: InstanceId) => Promise<boolean> = () => Promise.resolve(true),
): TemporalKeys => {
  const load = async (instance: InstanceId): Promise<Uint8Array> => {
    for (let time = 1; ; time += 1) {
      try {
        if (!(await exists(instance))) throw new UnknownInstance(`there is no instance of this name`);
        return (await new Secrets(instance, keys, client).ensure([temporalSecret])).get(temporalSecret)!;
      } catch (error) {
        if (error instanceof UnknownInstance || time === loadsMax) throw error;
      }
      await delay(reloadMs);
    }
  };
  const known = new Map<InstanceId, Promise<Uint8Array>>();
  return (instance) => {
    const present = known.get(instance);
    if (present) return present;
    const loading = load(instance);
    known.set(instance, loading);
    loading.catch(() => known.delete(instance));
    return loading;
  };
};
