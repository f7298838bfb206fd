/** Key derivation (HKDF-SHA256, RFC 5869). The info strings are part of the format: changing one needs a new version. */
import { createSecretKey, hkdfSync } from 'node:crypto';
import { hmacSha256 } from '../../domain/hmac.ts';
import type { InstanceId, SubjectId } from '../../schema/ids.ts';
import type { RetentionClass } from '../../schema/taxonomy.ts';

/** What expires together: content of one class, received in one month (UTC, `yyyy-mm`). */
export interface ClassMonth {
  readonly retentionClass: RetentionClass;
  readonly month: string;
}

/** Names one data key: content of one class and month, about one subject or about none. */
export interface DataKeyName extends ClassMonth {
  readonly subject?: SubjectId | undefined;
}

/** `<class>/<yyyy-mm>`. */
export const classMonthOf = (name: ClassMonth): string => `${name.retentionClass}/${name.month}`;

/** `<class>/<yyyy-mm>/<subject or ->`. */
export const dataKeyId = (name: DataKeyName): string => `${classMonthOf(name)}/${name.subject ?? '-'}`;

export const monthOf = (utc: string): string => utc.slice(0, 7);

/** Derived from both secrets: destroying either destroys the content. */
export const deriveDataKey = (
  instance: InstanceId,
  name: DataKeyName,
  classMonth: Uint8Array,
  subjectClass?: Uint8Array,
): Buffer =>
  Buffer.from(
    hkdfSync(
      'sha256',
      createSecretKey(subjectClass ? Buffer.concat([classMonth, subjectClass]) : classMonth),
      Buffer.alloc(0),
      `trailkeeper/data/v1/${instance}/${dataKeyId(name)}`,
      32,
    ),
  );

const boxInfo = Buffer.from('trailkeeper/box/v2');
const boxSaltBytes = 32;
const boxMessage = Buffer.concat([boxInfo, Buffer.alloc(boxSaltBytes), Buffer.from([0x01])]);

/**
 * The key of the one box that a data key has in a document: HKDF-Expand(data key, `trailkeeper/box/v2` || salt, 32).
 * The salt is random and the document's own, so no key is used twice and a constant nonce is safe. A data key is
 * uniformly random, so the extracting half of HKDF would add nothing (RFC 5869, section 3.3).
 */
export const deriveBoxKey = (dataKey: Uint8Array, salt: Uint8Array): Buffer => {
  if (salt.length !== boxSaltBytes) throw new RangeError(`a salt has ${boxSaltBytes} bytes, not ${salt.length}`);
  boxMessage.set(salt, boxInfo.length);
  return hmacSha256(dataKey, boxMessage);
};
