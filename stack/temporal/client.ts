import { Client, Connection } from '@temporalio/client';
import { clientInterceptors } from './clientInterceptors.ts';
import type { TemporalKeys } from './codec.ts';
import { dataConverter } from './dataConverter.ts';
import { callInterceptors } from './retries.ts';

export interface TemporalAddress {
  /** host:port */
  readonly address: string;
  readonly namespace: string;
}

/** Connects when first used, so that a process starts while Temporal is away. Close it by `connection.close()`. */
export const createTemporalClient = ({ address, namespace }: TemporalAddress, keys: TemporalKeys): Client => {
  const connection = Connection.lazy({ address, interceptors: callInterceptors });
  return new Client({ connection, namespace, dataConverter: dataConverter(keys), interceptors: clientInterceptors });
};
