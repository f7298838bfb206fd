import type { System } from '../schema/taxonomy.ts';
import { hmacSha256 } from './hmac.ts';

/**
 * Keyed pseudonym of an external id: the first 16 bytes of HMAC-SHA256(secret, system \0 kind \0 id) in hex.
 * The same id under the same secret has the same pseudonym, so entries can be joined without knowing the id.
 */
export const pseudonym = (secret: Uint8Array, system: System, kind: string, id: string): string =>
  hmacSha256(secret, Buffer.from(`${system}\0${kind}\0${id}`, 'utf8')).toString('hex', 0, 16);

/** The one form in which an entry names a thing in any system. */
export const resourceUrn = (system: System, kind: string, hex: string): string =>
  `urn:trailkeeper:${system}:${kind}:${hex}`;
