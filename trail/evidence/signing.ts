/**
 * The key that signs the manifests of evidence packs: an Ed25519 seed of its own among the instance's secrets, never the
 * key of the checkpoints, since what signs the log should sign nothing else. Its name differs as well, so that neither
 * signature can be passed off as the other. The log itself names it (control change `evidence.key`): whoever has the
 * log's key needs no other.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { noteKey, type NoteSigner } from '../../domain/tree/note.ts';
import type { Secrets } from '../keys/secrets.ts';

const evidenceSecret = 'evidence/1';

/** DER before a raw Ed25519 seed, RFC 8410 section 7. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

export const evidenceKeyName = (origin: string): string => `${origin}/evidence`;

/** Made where the instance has none yet. */
export const loadEvidenceSigner = async (origin: string, secrets: Secrets): Promise<NoteSigner> => {
  const seed = (await secrets.ensure([evidenceSecret])).get(evidenceSecret)!;
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  return { ...noteKey(evidenceKeyName(origin), publicKey), sign: (message) => sign(null, message, key) };
};
