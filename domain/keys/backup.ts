/**
 * A backup of the folder of keys in one file: its files, sealed under a passphrase by scrypt and AES-256-GCM. Three parts:
 * a line `trailkeeper-keys/1`, a line of JSON with the parameters, and the ciphertext with its tag. Both lines are
 * authenticated. Whoever has file and passphrase has the keys, destroyed ones of its time too: make a new one after a key
 * was destroyed, and destroy the old ones.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes, scryptSync } from 'node:crypto';

const magic = 'trailkeeper-keys/1';
/** RFC 7914; 128 MiB and about half a second for each guess. */
const usual = { N: 2 ** 17, r: 8, p: 1 };
const parametersMax = { N: 2 ** 20, r: 16, p: 4 };
const passphraseMin = 12;
const tagBytes = 16;

/** Path below the folder, with slashes, to content. */
export type KeyFiles = ReadonlyMap<string, Uint8Array>;

export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly code: 'BACKUP_UNREADABLE' | 'PASSPHRASE_WRONG' | 'PASSPHRASE_WEAK';

  constructor(code: BackupError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** What belongs to a folder of keys; nothing else is put into a backup or taken out of one. */
export const isKeyFile = (path: string): boolean =>
  /^(?:master(?:\.next|\.previous-[0-9a-f]{16})?\.key|[a-z][a-z0-9-]{0,62}\/epoch-[1-9]\d{0,8}\.(?:key|destroyed))$/.test(
    path,
  );

const keyOf = (passphrase: string, salt: Uint8Array, { N, r, p }: typeof usual): Buffer =>
  scryptSync(passphrase.normalize('NFC'), salt, 32, { N, r, p, maxmem: 256 * N * r });

export const sealBackup = (files: KeyFiles, passphrase: string, parameters = usual): Buffer => {
  if (passphrase.length < passphraseMin)
    throw new BackupError('PASSPHRASE_WEAK', `the passphrase has fewer than ${passphraseMin} characters`);
  const salt = randomBytes(32);
  const nonce = randomBytes(12);
  const { N, r, p } = parameters;
  const told = JSON.stringify({ kdf: 'scrypt', N, r, p, salt: salt.toString('hex'), nonce: nonce.toString('hex') });
  const header = Buffer.from(`${magic}\n${told}\n`);
  const content = Object.fromEntries([...files].map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')]));
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt, parameters), nonce).setAAD(header);
  return Buffer.concat([header, cipher.update(JSON.stringify(content)), cipher.final(), cipher.getAuthTag()]);
};

/** Throws BackupError. */
export const openBackup = (bytes: Uint8Array, passphrase: string): Map<string, Buffer> => {
  const backup = Buffer.from(bytes);
  const first = backup.indexOf('\n');
  const second = backup.indexOf('\n', first + 1);
  if (backup.subarray(0, Math.max(0, first)).toString() !== magic || second < 0)
    throw new BackupError('BACKUP_UNREADABLE', `this is no backup of keys (its first line is not "${magic}")`);
  const { salt, nonce, ...parameters } = parametersOf(backup.subarray(first + 1, second).toString());
  const sealed = backup.subarray(second + 1);
  if (sealed.length < tagBytes) throw new BackupError('BACKUP_UNREADABLE', 'the backup was cut off');
  const decipher = createDecipheriv('aes-256-gcm', keyOf(passphrase, salt, parameters), nonce);
  decipher.setAAD(backup.subarray(0, second + 1)).setAuthTag(sealed.subarray(-tagBytes));
  let plain: Buffer;
  try {
    plain = Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()]);
  } catch {
    throw new BackupError(
      'PASSPHRASE_WRONG',
      'the backup does not open: another passphrase, or it was altered or cut off',
    );
  }
  const content = JSON.parse(plain.toString('utf8')) as Record<string, string>;
  return new Map(Object.entries(content).map(([path, base64]) => [path, Buffer.from(base64, 'base64')]));
};

const parametersOf = (line: string) => {
  try {
    const told = JSON.parse(line) as { N: number; r: number; p: number; salt: string; nonce: string };
    const { N, r, p } = told;
    const salt = Buffer.from(told.salt, 'hex');
    const nonce = Buffer.from(told.nonce, 'hex');
    const within = [N, r, p].every(Number.isInteger) && N > 1 && r > 0 && p > 0;
    // A file that somebody else made must not have this machine compute without end.
    if (within && N <= parametersMax.N && r <= parametersMax.r && p <= parametersMax.p && nonce.length === 12)
      return { N, r, p, salt, nonce };
  } catch {
    // Said below.
  }
  throw new BackupError('BACKUP_UNREADABLE', 'the parameters of the backup can not be read');
};

const contextOf = (instance: string, epoch: string): string => `trailkeeper/epoch/v1/${instance}/${epoch}`;

/** The current master key, and during a rotation the next and the former one (trail/keys/file-provider.ts). */
const masterPattern = /^master(?:\.next|\.previous-[0-9a-f]{16})?\.key$/;

/** Key files that do not open under a master key of the same backup: a folder that was copied while it was damaged. */
export const unopenable = (files: KeyFiles): string[] => {
  const masters = [...files].flatMap(([path, bytes]) => (masterPattern.test(path) ? [bytes] : []));
  return [...files].flatMap(([path, sealed]) => {
    const match = /^([^/]+)\/epoch-(\d+)\.key$/.exec(path);
    if (!match) return [];
    return masters.some((master) => opens(master, sealed, contextOf(match[1]!, match[2]!))) ? [] : [path];
  });
};

const opens = (master: Uint8Array, sealed: Uint8Array, context: string): boolean => {
  try {
    const decipher = createDecipheriv('aes-256-gcm', master, sealed.subarray(0, 12)).setAAD(Buffer.from(context));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    decipher.update(sealed.subarray(12, -tagBytes));
    decipher.final();
    return true;
  } catch {
    return false;
  }
};

export interface RestorePlan {
  /** To be written. */
  readonly write: readonly string[];
  /** There already, with the same bytes. */
  readonly same: readonly string[];
  /** Not written: the folder says that they were destroyed since. */
  readonly destroyed: readonly string[];
  /** There with other bytes: nothing is written then. */
  readonly conflicts: readonly string[];
}

/** What a restore does to a folder that holds `present`. */
export const planRestore = (backup: KeyFiles, present: KeyFiles): RestorePlan => {
  const plan = { write: [] as string[], same: [] as string[], destroyed: [] as string[], conflicts: [] as string[] };
  for (const [path, bytes] of backup) {
    const there = present.get(path);
    if (!isKeyFile(path)) plan.conflicts.push(path);
    else if (present.has(path.replace(/\.key$/, '.destroyed')) && path.endsWith('.key') && path.includes('/'))
      plan.destroyed.push(path);
    else if (!there) plan.write.push(path);
    else if (Buffer.from(there).equals(bytes)) plan.same.push(path);
    else plan.conflicts.push(path);
  }
  return plan;
};

/** Names a backup without saying anything of it, to be written down beside the passphrase's place. */
export const backupDigest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
