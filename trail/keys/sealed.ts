/** Short secrets sealed under a key: AES-256-GCM with a random nonce, bound to a context. `nonce || ciphertext || tag`. */
import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';

const nonceBytes = 12;
const tagBytes = 16;

/** A key may seal 2^32 times at most (NIST SP 800-38D, random nonces): an epoch key is rotated long before. */
export const seal = (key: KeyObject, plaintext: Uint8Array, context: string): Buffer => {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
};

/** Undefined where it was sealed under another key or context, or was altered. */
export const unseal = (key: KeyObject, sealed: Uint8Array, context: string): Buffer | undefined => {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
};
