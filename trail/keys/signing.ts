/** The key that signs an instance's checkpoints: an Ed25519 seed among the instance's wrapped secrets. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { noteKey, type NoteSigner } from '../../domain/tree/note.ts';
import { secretName, type Secrets } from './secrets.ts';

/** DER before a raw Ed25519 seed, RFC 8410 section 7. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The name of the key is the log's origin. Ed25519 is deterministic: any process signs the same. */
export const loadSigner = async (origin: string, secrets: Secrets): Promise<NoteSigner> => {
  const seed = (await secrets.ensure([secretName.signing])).get(secretName.signing)!;
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  return { ...noteKey(origin, publicKey), sign: (message) => sign(null, message, key) };
};
