/** What the activities of a worker use of each instance. */
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

/** The key of each instance's payloads in Temporal, made where there is none. `client`: appender duty. */
export const temporalKeys = (client: MongoClient, keys: KeyProvider): TemporalKeys => {
  const known = new Map<InstanceId, Promise<Uint8Array>>();
  return (instance) => {
    const present = known.get(instance);
    if (present) return present;
    const loading = new Secrets(instance, keys, client)
      .ensure([temporalSecret])
      .then((secrets) => secrets.get(temporalSecret)!);
    known.set(instance, loading);
    loading.catch(() => known.delete(instance));
    return loading;
  };
};
