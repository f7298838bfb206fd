/**
 * Cosignatures of witnesses, c2sp.org/tlog-cosignature, Ed25519 (`cosignature/v1`). A cosignature says that at its time
 * the checkpoint was the largest that the witness had seen of this log, and consistent with all that it had seen before.
 */
import { hash } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { TreeError } from './errors.ts';
import { isKeyName, keyIdText, parseNote, parseSignatureLine, verifyEd25519, type NoteSignature } from './note.ts';

const cosignatureV1 = 4;
const publicKeyBytes = 32;
const timestampBytes = 8;
const signatureBytes = 64;
/** Seconds; beyond that, no date can be made of it (year 275,760). */
const timestampMax = 8_640_000_000_000n;

/** A witness's key. Its id is computed otherwise than that of a log's key, so the two can't stand in for each other. */
export interface CosignerKey {
  readonly name: string;
  /** First 4 bytes of SHA-256(name || 0x0A || 0x04 || public key), big-endian. */
  readonly keyId: number;
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Buffer;
}

/** What verified: the witness `key` cosigned the checkpoint at `timeS`. */
export interface Cosignature {
  readonly key: CosignerKey;
  /** Seconds since 1970, as the witness says. */
  readonly timeS: number;
  /** The signature line with its newline, as it is added to the checkpoint. */
  readonly line: string;
}

const typedKey = (publicKey: Uint8Array): Buffer => Buffer.concat([Uint8Array.of(cosignatureV1), publicKey]);

/** The key of that name; refuses names with spaces or `+`, and keys that are not 32 bytes. */
export function cosignerKey(name: string, publicKey: Uint8Array): CosignerKey {
  if (!isKeyName(name)) throw new TreeError('KEY_MALFORMED', 'a key name is not empty and has no spaces and no "+"');
  if (publicKey.length !== publicKeyBytes)
    throw new TreeError('KEY_MALFORMED', `an Ed25519 public key has 32 bytes, got ${publicKey.length}`);
  const digest = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typedKey(publicKey)]), 'buffer');
  return { name, keyId: digest.readUInt32BE(0), publicKey: Buffer.from(publicKey) };
}

/** `name+keyid+base64`, as witnesses hand it out. */
export const encodeCosignerVkey = (key: CosignerKey): string =>
  `${key.name}+${keyIdText(key.keyId)}+${typedKey(key.publicKey).toString('base64')}`;

/** Reads a witness's verifier key. A log's key (type 1) is refused: it signs checkpoints, not cosignatures. */
export function parseCosignerVkey(vkey: string): CosignerKey {
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(vkey);
  const bytes = match && decodeBase64(match[3]!);
  if (!match || !bytes) throw new TreeError('KEY_MALFORMED', 'a verifier key has the form name+keyid+base64');
  if (bytes[0] !== cosignatureV1)
    throw new TreeError('KEY_MALFORMED', `a witness key is of type 4 (Ed25519 cosignatures), got type ${bytes[0]}`);
  const key = cosignerKey(match[1]!, bytes.subarray(1));
  if (keyIdText(key.keyId) !== match[2])
    throw new TreeError('KEY_MALFORMED', `the key id should be ${keyIdText(key.keyId)}, got ${match[2]}`);
  return key;
}

/** What a witness signs: a header and its time before the checkpoint's text. */
export const cosignedMessage = (text: string, timeS: number | bigint): Buffer =>
  Buffer.from(`cosignature/v1\ntime ${timeS}\n${text}`);

/** The cosignature line under a checkpoint's text, with its newline. `sign`: Ed25519 over the message, 64 bytes. */
export function cosignatureLine(
  text: string,
  signer: CosignerKey & { readonly sign: (message: Buffer) => Buffer },
  timeS: number,
): string {
  const head = Buffer.alloc(4 + timestampBytes);
  head.writeUInt32BE(signer.keyId);
  head.writeBigUInt64BE(BigInt(timeS), 4);
  const signature = Buffer.concat([head, signer.sign(cosignedMessage(text, timeS))]);
  return `\u2014 ${signer.name} ${signature.toString('base64')}\n`;
}

/**
 * The cosignatures by known witnesses among the signatures of a checkpoint with this text, one a witness: the one of the
 * latest time. Signatures by anybody else are passed over, as the specification demands. Throws NOTE_SIGNATURE where one
 * by a known witness does not verify.
 */
export function verifyCosignatures(
  text: string,
  signatures: readonly NoteSignature[],
  witnesses: readonly CosignerKey[],
): Cosignature[] {
  const found = new Map<CosignerKey, Cosignature>();
  for (const { name, keyId, signature } of signatures) {
    const key = witnesses.find((known) => known.name === name && known.keyId === keyId);
    if (!key) continue;
    const timeS = verifiedTime(text, key, signature);
    if (timeS === undefined)
      throw new TreeError('NOTE_SIGNATURE', `the cosignature by ${name}+${keyIdText(keyId)} does not verify`);
    const before = found.get(key);
    if (before && before.timeS >= timeS) continue;
    found.set(key, { key, timeS, line: lineOf(name, keyId, signature) });
  }
  return [...found.values()];
}

/** Cosignatures by known witnesses on a signed checkpoint. The log's own signature is not looked at here. */
export const cosignaturesOn = (note: Uint8Array, witnesses: readonly CosignerKey[]): Cosignature[] => {
  const { text, signatures } = parseNote(note);
  return verifyCosignatures(text, signatures, witnesses);
};

/** Reads signature lines without a text, as a witness answers; throws NOTE_MALFORMED. */
export const parseSignatureLines = (lines: string): NoteSignature[] => {
  if (!lines.endsWith('\n')) throw new TreeError('NOTE_MALFORMED', 'the last signature line does not end in a newline');
  return lines.slice(0, -1).split('\n').map(parseSignatureLine);
};

const verifiedTime = (text: string, key: CosignerKey, signature: Buffer): number | undefined => {
  if (signature.length !== timestampBytes + signatureBytes) return undefined;
  const timeS = signature.readBigUInt64BE(0);
  if (timeS > timestampMax) return undefined;
  const holds = verifyEd25519(cosignedMessage(text, timeS), key.publicKey, signature.subarray(timestampBytes));
  return holds ? Number(timeS) : undefined;
};

const lineOf = (name: string, keyId: number, signature: Buffer): string => {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyId);
  return `\u2014 ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
};
