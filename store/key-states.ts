/** The keys of an instance as its people see them: ids and states. */
import type { MongoClient } from 'mongodb';
import { epochKeyId, signingKeyId } from '../domain/signing-schedule.ts';
import type { InstanceId } from '../schema/ids.ts';
import { listVerifierKeys } from '../trail/keys/signing.ts';
import { findKeyring } from './keyrings.ts';

export interface EpochKeyState {
  readonly id: string;
  readonly epoch: number;
  readonly keyId: string;
  readonly state: string;
  readonly current: boolean;
  readonly made: Date;
  readonly until: Date | null;
}

export interface SigningKeyState {
  readonly id: string;
  readonly vkey: string;
  readonly from: number | null;
  readonly until: number | null;
}

export interface KeyStates {
  readonly provider: string | null;
  readonly epochs: readonly EpochKeyState[];
  readonly signing: readonly SigningKeyState[];
}

export const listKeys = async (client: MongoClient /* reader duty */, instance: InstanceId): Promise<KeyStates> => {
  const keyring = await findKeyring(client, instance);
  const signing = await listVerifierKeys(client, instance);
  return {
    provider: keyring?.epochs.at(-1)?.provider ?? null,
    epochs: (keyring?.epochs ?? []).map(({ epoch, keyId, state, made, until }) => ({
      id: epochKeyId(epoch),
      epoch,
      keyId,
      state,
      current: epoch === keyring?.current,
      made,
      until: until ?? null,
    })),
    signing: signing.map(({ version, vkey, from, until }) => ({
      id: signingKeyId(version),
      vkey,
      from: from ?? null,
      until: until ?? null,
    })),
  };
};
