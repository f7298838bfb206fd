import { createHmac, createSecretKey } from 'node:crypto';
import type { System } from '../schema/taxonomy.ts';

/**
 * Keyed pseudonym of an external id: the first 16 bytes of HMAC-SHA256(secret, system \0 kind \0 id) in hex.
 * The same id under the same secret has the same pseudonym, so entries can be joined without knowing the id.
 */
export const pseudonym = (secret: Uint8Array, system: System, kind: string, id: string): string =>
  createHmac('sha256', createSecretKey(secret)).update(`${system}\0${kind}\0${id}`).digest('hex').slice(0, 32);

/** The one form in which an entry names a thing in any system. */
export const resourceUrn = (system: System, kind: string, hex: string): string =>
  `urn:trailkeeper:${system}:${kind}:${hex}`;
