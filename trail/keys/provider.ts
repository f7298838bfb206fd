import type { InstanceId } from '../../schema/ids.ts';

/**
 * Where the keys of an instance's epochs live. Epoch keys never leave the provider; it wraps and unwraps with them.
 * `context` is authenticated: a wrapped key moved to another name does not unwrap.
 * Destroying an epoch key makes everything wrapped under it unreadable for good, in every copy and backup.
 */
export interface KeyProvider {
  /** Number of the current epoch, which is created where the instance has none. */
  currentEpoch(instance: InstanceId): Promise<number>;
  wrap(instance: InstanceId, epoch: number, plaintext: Uint8Array, context: string): Promise<Buffer>;
  /** Throws TrailError KEY_UNAVAILABLE where the epoch key is gone or the bytes are not what was wrapped. */
  unwrap(instance: InstanceId, epoch: number, wrapped: Uint8Array, context: string): Promise<Buffer>;
}
