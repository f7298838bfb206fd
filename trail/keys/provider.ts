/**
 * Where the keys of an instance's epochs come from: a file provider for one machine (file-provider.ts), AWS KMS
 * (kms-provider.ts). Epoch keys wrap the secrets of an instance and nothing else. Destroying one makes everything that is
 * wrapped under it alone unreadable for good, in every copy and backup.
 */
import type { KeyObject } from 'node:crypto';
import type { InstanceId } from '../../schema/ids.ts';
import type { KeyUses } from './uses.ts';

export const providerKinds = ['file', 'aws-kms'] as const;
export type ProviderKind = (typeof providerKinds)[number];

/** One epoch key of one instance, as the keyring remembers it (keyring.ts). Says nothing to whoever lacks the provider. */
export interface EpochReference {
  readonly instance: InstanceId;
  readonly epoch: number;
  /** The provider's own name for it: a file, or the ARN of a KMS key. What a certificate of destruction names. */
  readonly keyId: string;
  /** What the provider needs to give the key out again, itself encrypted by it. */
  readonly dataKey?: Uint8Array;
}

/**
 * `pending`: the provider will destroy it at that time, and nobody can use it until then; only an administrator of the
 * provider could still revoke that.
 */
export type Destruction = { readonly state: 'destroyed' } | { readonly state: 'pending'; readonly until: Date };

export interface KeyProvider {
  readonly kind: ProviderKind;
  /**
   * Makes the key of an epoch that no keyring names yet, or gives the one that an interrupted call left behind. Nothing
   * rests on it before the keyring names it.
   */
  createEpoch(instance: InstanceId, epoch: number): Promise<EpochReference>;
  /**
   * The key, 32 bytes; kept in memory from then on. Throws TrailError KEY_UNAVAILABLE where it is gone or is not the one
   * that was meant, and KEY_PROVIDER_UNAVAILABLE (retryable) where the provider can't be reached now.
   */
  unlock(reference: EpochReference): Promise<KeyObject>;
  /** Drops it from memory. */
  forget(reference: EpochReference): void;
  /** Destroys it. Idempotent: a key that is gone is destroyed. */
  destroy(reference: EpochReference): Promise<Destruction>;
  /** The key above the epoch keys. */
  readonly master: MasterKey;
  /** Where it is told which keys this process uses; nowhere in tools that run for a moment. */
  uses?: KeyUses;
}

/** Rotation of the master key, in two steps so that its record comes before its effect. Each is idempotent. */
export interface MasterKey {
  /** Makes the next one beside the current one, which stays in use. Ids are `master/<...>`, and name no secret. */
  prepare(current: readonly EpochReference[]): Promise<{ readonly from: string; readonly to: string }>;
  /**
   * Puts every epoch key under the one that was prepared, and drops the one before. May be interrupted anywhere, and
   * processes go on reading meanwhile. Does nothing where none was prepared.
   */
  complete(current: readonly EpochReference[]): Promise<void>;
}
