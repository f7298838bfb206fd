/**
 * How many witnesses must have cosigned a checkpoint: k of n. A checkpoint without that quorum may be one of two histories
 * that the log shows to different readers; one with it may not, as long as fewer than k witnesses lie.
 */
import type { Cosignature, CosignerKey } from './cosignature.ts';

export interface Quorum {
  readonly witnesses: readonly CosignerKey[];
  /** k, from 1 to the number of witnesses; 0 where none is demanded. */
  readonly threshold: number;
}

/** Number of different witnesses of the policy among the cosignatures. Two keys of one name are two witnesses. */
export const cosigners = ({ witnesses }: Quorum, cosignatures: readonly Cosignature[]): number =>
  witnesses.filter((witness) => cosignatures.some(({ key }) => sameKey(key, witness))).length;

export const hasQuorum = (quorum: Quorum, cosignatures: readonly Cosignature[]): boolean =>
  cosigners(quorum, cosignatures) >= quorum.threshold;

/**
 * Whether so many witnesses state something else that the rest can't make up the quorum any more: then nobody who demands
 * it will ever take this history.
 */
export const quorumIsLost = ({ witnesses, threshold }: Quorum, contradicting: number): boolean =>
  threshold > 0 && witnesses.length - contradicting < threshold;

export const sameKey = (a: CosignerKey, b: CosignerKey): boolean =>
  a.name === b.name && a.keyId === b.keyId && a.publicKey.equals(b.publicKey);

/** Why a set of witness keys can't be a policy; undefined where it can. */
export const quorumProblem = ({ witnesses, threshold }: Quorum): string | undefined => {
  if (!Number.isInteger(threshold) || threshold < 0 || threshold > witnesses.length)
    return `the quorum must be from 0 to ${witnesses.length}, the number of witnesses, got ${threshold}`;
  if (witnesses.length > 0 && threshold === 0) return 'the quorum must be at least 1 where there are witnesses';
  // An Ed25519 cosignature does not commit to its cosigner's name: under two names, one key would count twice.
  if (new Set(witnesses.map(({ publicKey }) => publicKey.toString('hex'))).size < witnesses.length)
    return 'a public key stands there twice: it would count as two witnesses';
  return undefined;
};
