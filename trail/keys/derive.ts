/** Key derivation (HKDF-SHA256, RFC 5869). The info strings are part of the format: changing one needs a new version. */
import { createSecretKey, hkdfSync } from 'node:crypto';
import type { InstanceId, SubjectId } from '../../schema/ids.ts';
import type { RetentionClass } from '../../schema/taxonomy.ts';

/** Names one data key: content of one class, received in one month (UTC, `yyyy-mm`), about one subject or about none. */
export interface DataKeyName {
  readonly retentionClass: RetentionClass;
  readonly month: string;
  readonly subject?: SubjectId;
}

/** `<class>/<yyyy-mm>/<subject or ->`. */
export const dataKeyId = (name: DataKeyName): string => `${name.retentionClass}/${name.month}/${name.subject ?? '-'}`;

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

/** One key a box: the salt is random, so no key is used twice and a constant nonce is safe. */
export const deriveBoxKey = (dataKey: Uint8Array, salt: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', createSecretKey(dataKey), salt, 'trailkeeper/box/v1', 32));
