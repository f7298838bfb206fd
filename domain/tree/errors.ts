/** Why tree material was refused. Each code names one thing that a caller can act on. */
export type TreeErrorCode =
  | 'SIZE_INVALID' // a tree size, index or level that is no non-negative safe integer, or out of its range
  | 'EDGE_MISMATCH' // a right edge whose number of hashes does not fit its size
  | 'HASH_LENGTH' // hashes that are not whole multiples of 32 bytes
  | 'ENTRY_TOO_LARGE' // an entry that the uint16 length prefix of a bundle can't carry
  | 'BUNDLE_MALFORMED' // an entry bundle that can't be taken apart
  | 'TILE_MALFORMED' // a tile whose length does not fit its width
  | 'CHECKPOINT_MALFORMED' // a checkpoint body that breaks tlog-checkpoint
  | 'CHECKPOINT_ORIGIN' // a checkpoint of another log
  | 'NOTE_MALFORMED' // bytes that are no signed note
  | 'NOTE_SIGNATURE' // a signature by a known key that does not verify
  | 'NOTE_UNSIGNED' // no signature by any known key
  | 'KEY_MALFORMED' // a verifier key (vkey) that can't be read
  | 'PROOF_MALFORMED'; // bytes that are no tlog-proof

/** Thrown by everything in domain/tree/ that reads or builds. Messages carry positions and sizes, never content. */
export class TreeError extends Error {
  override readonly name = 'TreeError';
  readonly code: TreeErrorCode;

  constructor(code: TreeErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Sizes and indexes are exact up to 2^53 - 1; beyond that arithmetic would lie silently. */
export function requireSize(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TreeError('SIZE_INVALID', `${what} must be a non-negative safe integer, got ${value}`);
  }
}
