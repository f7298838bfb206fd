import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { noteKey, type NoteSigner } from '../../domain/tree/note.ts';

/** A signer whose key is made from a seed of 32 bytes (RFC 8410 section 7), so that tests can repeat their bytes. */
export function testSigner(name: string, seed: Buffer): NoteSigner {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32);
  return { ...noteKey(name, publicKey), sign: (message) => sign(null, message, privateKey) };
}
