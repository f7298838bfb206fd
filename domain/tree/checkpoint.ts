/** Checkpoints, c2sp.org/tlog-checkpoint: origin, size and root hash of a log, as the text of a signed note. */
import { decodeBase64 } from './base64.ts';
import { TreeError, requireSize } from './errors.ts';
import { hashBytes } from './hash.ts';
import { openNote, signNote, type NoteKey, type NoteSignature, type NoteSigner } from './note.ts';

export interface Checkpoint {
  /** The log's URL prefix without scheme and without a slash at the end; also the name of its key. */
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Buffer;
}

export interface ParsedCheckpoint extends Checkpoint {
  /** Lines after the root. Ours have none; those of others are kept, and mean nothing here. */
  readonly extensions: readonly string[];
}

export interface OpenedCheckpoint extends ParsedCheckpoint {
  readonly verified: readonly NoteSignature[];
  /** By keys that the reader does not know, such as witnesses'. */
  readonly unknown: readonly NoteSignature[];
}

const malformed = (why: string): TreeError => new TreeError('CHECKPOINT_MALFORMED', why);

/** `origin\nsize\nbase64 root\n`. Our checkpoints have no extension lines. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  requireSize(size, 'tree size');
  if (origin === '' || /[\p{White_Space}\p{Cc}+]/u.test(origin)) {
    throw malformed('an origin is not empty and has no spaces and no "+"');
  }
  if (root.length !== hashBytes) throw malformed(`a root hash has 32 bytes, got ${root.length}`);
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/** Reads a checkpoint's text strictly; extension lines are allowed, as the specification demands of a reader. */
export function parseCheckpoint(text: string): ParsedCheckpoint {
  if (!text.endsWith('\n')) throw malformed('a checkpoint ends in a newline');
  const [origin, size, root, ...extensions] = text.slice(0, -1).split('\n');
  if (origin === undefined || size === undefined || root === undefined) {
    throw malformed('a checkpoint has at least three lines: origin, size, root hash');
  }
  if (origin === '') throw malformed('the origin (line 1) is empty');
  if (!/^(?:0|[1-9][0-9]*)$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw malformed('the size (line 2) is not a decimal number without leading zeroes below 2^53');
  }
  const hash = decodeBase64(root);
  if (hash?.length !== hashBytes) throw malformed('the root hash (line 3) is not 32 bytes in base64');
  const empty = extensions.indexOf('');
  if (empty >= 0) throw malformed(`line ${empty + 4} is empty`);
  return { origin, size: Number(size), root: hash, extensions };
}

/** The checkpoint as a signed note, ready to be served. The signature is deterministic: equal trees, equal bytes. */
export const signCheckpoint = (checkpoint: Checkpoint, signers: readonly NoteSigner[]): Buffer =>
  signNote(formatCheckpoint(checkpoint), signers);

/**
 * Opens a signed checkpoint of the log `origin`. Throws a TreeError: NOTE_* if the note or its signature does not hold,
 * CHECKPOINT_MALFORMED, or CHECKPOINT_ORIGIN if it is another log's.
 */
export function openCheckpoint(note: Uint8Array, knownKeys: readonly NoteKey[], origin: string): OpenedCheckpoint {
  const { text, verified, unknown } = openNote(note, knownKeys);
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== origin) {
    throw new TreeError('CHECKPOINT_ORIGIN', `the checkpoint is of "${checkpoint.origin}", not of "${origin}"`);
  }
  return { ...checkpoint, verified, unknown };
}
