/**
 * Signed notes, c2sp.org/signed-note: a text, an empty line, and signature lines. Only Ed25519 (type 0x01) is verified
 * here; other signatures are kept as they are, since cosignatures of witnesses stand beside the log's own.
 */
import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { decodeBase64 } from './base64.ts';
import { TreeError } from './errors.ts';

const ed25519 = 0x01;
const publicKeyBytes = 32;
const keyIdBytes = 4;
/** DER before a raw Ed25519 public key, RFC 8410 section 4. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
const signaturePrefix = '\u2014 ';

/** A reader must take 16 signatures; post-quantum ones take up to 5 kB each. */
export const noteLimits = { noteBytesMax: 1_048_576, signaturesMax: 100 } as const;

/** A key that may have signed a note. Name and id together identify it. */
export interface NoteKey {
  readonly name: string;
  /** First 4 bytes of SHA-256(name || 0x0A || 0x01 || public key), big-endian. */
  readonly keyId: number;
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Buffer;
}

/** A key and the means to use it. Where the private key is, and that it stays there, is the business of `sign`. */
export interface NoteSigner extends NoteKey {
  /** Ed25519 over the message, 64 bytes. */
  readonly sign: (message: Buffer) => Buffer;
}

export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  /** What follows the key id. */
  readonly signature: Buffer;
}

export interface Note {
  /** The signed text, with its last newline. */
  readonly text: string;
  /** Signatures by known keys; at least one, each verified. */
  readonly verified: readonly NoteSignature[];
  /** Signatures by keys that the reader does not know. They prove nothing. */
  readonly unknown: readonly NoteSignature[];
}

/** Not empty, no spaces, no `+`. */
export const isKeyName = (name: string): boolean => name !== '' && !/[\p{White_Space}+]/u.test(name);

const typedKey = (publicKey: Uint8Array): Buffer => Buffer.concat([Uint8Array.of(ed25519), publicKey]);

/** The key of that name; refuses names with spaces or `+`, and keys that are not 32 bytes. */
export function noteKey(name: string, publicKey: Uint8Array): NoteKey {
  if (!isKeyName(name)) throw new TreeError('KEY_MALFORMED', 'a key name is not empty and has no spaces and no "+"');
  if (publicKey.length !== publicKeyBytes) {
    throw new TreeError('KEY_MALFORMED', `an Ed25519 public key has 32 bytes, got ${publicKey.length}`);
  }
  const digest = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typedKey(publicKey)]), 'buffer');
  return { name, keyId: digest.readUInt32BE(0), publicKey: Buffer.from(publicKey) };
}

/** A key id as it stands in a verifier key. */
export const keyIdText = (keyId: number): string => keyId.toString(16).padStart(8, '0');

/** `name+keyid+base64`, the form in which verifier keys are handed out (golang.org/x/mod/sumdb/note). */
export const encodeVkey = (key: NoteKey): string =>
  `${key.name}+${keyIdText(key.keyId)}+${typedKey(key.publicKey).toString('base64')}`;

/** Reads a verifier key; its id must be the one that name and key give. */
export function parseVkey(vkey: string): NoteKey {
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(vkey);
  const bytes = match && decodeBase64(match[3]!);
  if (!match || !bytes) throw new TreeError('KEY_MALFORMED', 'a verifier key has the form name+keyid+base64');
  if (bytes[0] !== ed25519) {
    throw new TreeError('KEY_MALFORMED', `only Ed25519 keys (type 1) can be used, got type ${bytes[0]}`);
  }
  const key = noteKey(match[1]!, bytes.subarray(1));
  if (keyIdText(key.keyId) !== match[2]) {
    throw new TreeError('KEY_MALFORMED', `the key id should be ${keyIdText(key.keyId)}, got ${match[2]}`);
  }
  return key;
}

/** A text can be signed if it is UTF-8, ends in a newline and has no other control characters. */
function requireText(text: string): void {
  // oxlint-disable-next-line no-control-regex -- the specification names exactly these
  if (!text.isWellFormed() || !text.endsWith('\n') || /[\u0000-\u0009\u000b-\u001f]/.test(text)) {
    throw new TreeError('NOTE_MALFORMED', 'a note is UTF-8, ends in a newline and has no other control characters');
  }
}

/** The signature line of `signer` under `text`, with its newline. */
export function signatureLine(text: string, signer: NoteSigner): string {
  requireText(text);
  const keyId = Buffer.alloc(keyIdBytes);
  keyId.writeUInt32BE(signer.keyId);
  const signature = Buffer.concat([keyId, signer.sign(Buffer.from(text))]);
  return `${signaturePrefix}${signer.name} ${signature.toString('base64')}\n`;
}

/** The text, signed by each signer in turn. */
export function signNote(text: string, signers: readonly NoteSigner[]): Buffer {
  if (signers.length === 0) throw new TreeError('NOTE_UNSIGNED', 'a note needs at least one signer');
  return Buffer.from(`${text}\n${signers.map((signer) => signatureLine(text, signer)).join('')}`);
}

/** Adds signature lines (each as signatureLine writes it), for example cosignatures, to a signed note. */
export function addSignatureLines(note: Uint8Array, lines: readonly string[]): Buffer {
  return Buffer.concat([note, Buffer.from(lines.join(''))]);
}

/** Reads one signature line, without its newline. */
export function parseSignatureLine(line: string): NoteSignature {
  const [name = '', base64 = '', ...rest] = line.startsWith(signaturePrefix)
    ? line.slice(signaturePrefix.length).split(' ')
    : [];
  const bytes = decodeBase64(base64);
  if (!isKeyName(name) || !bytes || bytes.length <= keyIdBytes || rest.length > 0) {
    throw new TreeError('NOTE_MALFORMED', 'a signature line has the form "\u2014 name base64"');
  }
  return { name, keyId: bytes.readUInt32BE(0), signature: bytes.subarray(keyIdBytes) };
}

/** Takes a note apart without looking at a key: nothing that it says can be relied on. */
export function parseNote(bytes: Uint8Array): { text: string; signatures: readonly NoteSignature[] } {
  if (bytes.length > noteLimits.noteBytesMax) {
    throw new TreeError('NOTE_MALFORMED', `a note has at most ${noteLimits.noteBytesMax} bytes, got ${bytes.length}`);
  }
  if (!isUtf8(bytes)) throw new TreeError('NOTE_MALFORMED', 'a note is UTF-8');
  const whole = Buffer.from(bytes).toString('utf8');
  requireText(whole);
  // The last empty line separates the text from its signatures: the text may have empty lines of its own.
  const split = whole.lastIndexOf('\n\n');
  const lines = split < 0 ? [] : whole.slice(split + 2, -1).split('\n');
  if (split < 0 || lines[0] === '') throw new TreeError('NOTE_MALFORMED', 'the note has no signature lines');
  if (lines.length > noteLimits.signaturesMax) {
    throw new TreeError(
      'NOTE_MALFORMED',
      `a note has at most ${noteLimits.signaturesMax} signatures, got ${lines.length}`,
    );
  }
  return { text: whole.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
}

const keyObject = (publicKey: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' });

/** True if `signature` (64 bytes) is over the message by the raw public key (32 bytes). */
export const verifyEd25519 = (message: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): boolean =>
  signature.length === 64 && verify(null, message, keyObject(publicKey), signature);

/** True if `signature` is by `key`, over the text. */
export const verifySignature = (text: string, key: NoteKey, signature: Uint8Array): boolean =>
  verifyEd25519(Buffer.from(text), key.publicKey, signature);

/**
 * Opens a note: every signature by a known key must verify (else NOTE_SIGNATURE), and there must be one at least (else
 * NOTE_UNSIGNED). Signatures by unknown keys are returned apart, also where one shares a known name or id, but not both.
 */
export function openNote(bytes: Uint8Array, knownKeys: readonly NoteKey[]): Note {
  const { text, signatures } = parseNote(bytes);
  const verified: NoteSignature[] = [];
  const unknown: NoteSignature[] = [];
  for (const signature of signatures) {
    const key = knownKeys.find((known) => known.name === signature.name && known.keyId === signature.keyId);
    if (!key) {
      unknown.push(signature);
    } else if (!verifySignature(text, key, signature.signature)) {
      throw new TreeError('NOTE_SIGNATURE', `the signature by ${key.name}+${keyIdText(key.keyId)} does not verify`);
    } else if (!verified.some((other) => other.name === signature.name && other.keyId === signature.keyId)) {
      verified.push(signature);
    }
  }
  if (verified.length === 0) throw new TreeError('NOTE_UNSIGNED', 'the note has no signature by a known key');
  return { text, verified, unknown };
}
