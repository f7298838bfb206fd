/** The provider of keys that the settings name, and the check that it holds the keys of the data that is there. */
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import { TrailError } from '../trail/errors.ts';
import { FileKeyProvider } from '../trail/keys/file-provider.ts';
import { openKmsKeyProvider } from '../trail/keys/kms-provider.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import { requireKeys } from '../trail/keys/require-keys.ts';
import type { Config } from './config.ts';

export const openKeyProvider = ({ keys, folders }: Config): KeyProvider => {
  switch (keys.provider) {
    case 'file':
      return new FileKeyProvider(folders.keys);
    case 'aws-kms':
      return openKmsKeyProvider(keys.kms);
    default:
      return keys.provider satisfies never;
  }
};

const waitMs = 2000;

/**
 * Returns once every key is there. Throws KeysMissing where one is not; while MongoDB or the provider is away, it waits
 * and tries again, as long as `signal` lets it.
 */
export const untilKeysAreThere = async (
  client: MongoClient /* reader duty */,
  provider: KeyProvider,
  { onWait, signal }: { onWait?: (error: unknown) => void; signal?: AbortSignal } = {},
): Promise<void> => {
  for (;;) {
    try {
      return await requireKeys(client, provider);
    } catch (error) {
      const passing = error instanceof TrailError ? error.retryable : (error as Error).name.startsWith('Mongo');
      if (!passing || signal?.aborted) throw error;
      onWait?.(error);
    }
    await delay(waitMs, undefined, { ...(signal && { signal }) });
  }
};
