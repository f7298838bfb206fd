/**
 * Hashing of the Merkle tree, RFC 6962 section 2.1 with SHA-256. Leaves and nodes have different prefixes, so that a node
 * can't be passed off as an entry.
 *
 * Node's one-shot hash with a Latin-1 result is a third of the price of one with a Buffer result (measured on Node 24:
 * 0.36 against 1.1 microseconds for 65 bytes), because no ArrayBuffer is made; hence the detour over strings.
 */
import { hash } from 'node:crypto';

export const hashBytes = 32;

/** Root of the tree without entries: SHA-256 of nothing. */
export const emptyRoot: Buffer = hash('sha256', '', 'buffer');

const sha256Into = (input: Uint8Array, out: Buffer, offset: number): void => {
  // 'binary' is Node's older name for Latin-1, and the only one of the two in the types of hash.
  out.write(hash('sha256', input, 'binary'), offset, 'latin1');
};

// Scratch space is safe to share: everything below runs to its end without giving up the thread.
const leafInput = Buffer.alloc(1 + 65_535);
const nodeInput = Buffer.alloc(1 + 2 * hashBytes);
nodeInput[0] = 0x01;

/** Writes SHA-256(0x00 || entry) into `out` at `offset`. */
export function leafHashInto(entry: Uint8Array, out: Buffer, offset: number): void {
  if (entry.length < leafInput.length) {
    leafInput.set(entry, 1);
    sha256Into(leafInput.subarray(0, entry.length + 1), out, offset);
    return;
  }
  const input = Buffer.alloc(entry.length + 1);
  input.set(entry, 1);
  sha256Into(input, out, offset);
}

/** SHA-256(0x00 || entry): the hash of an entry as it stands in the tree. */
export function leafHash(entry: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(hashBytes);
  leafHashInto(entry, out, 0);
  return out;
}

/** Leaf hashes of many entries, concatenated: 32 bytes each. */
export function leafHashes(entries: readonly Uint8Array[]): Buffer {
  const out = Buffer.allocUnsafe(entries.length * hashBytes);
  for (let i = 0; i < entries.length; i += 1) leafHashInto(entries[i]!, out, i * hashBytes);
  return out;
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + hashBytes);
  const out = Buffer.allocUnsafe(hashBytes);
  sha256Into(nodeInput, out, 0);
  return out;
}

/** Hashes the two neighbours that stand at `pairAt` in `hashes` into one, written at `offset` of the same buffer. */
export function foldPairInPlace(hashes: Buffer, pairAt: number, offset: number): void {
  hashes.copy(nodeInput, 1, pairAt, pairAt + 2 * hashBytes);
  sha256Into(nodeInput, hashes, offset);
}

/** Root of a full subtree from its 2^k concatenated hashes. */
export function perfectRoot(hashes: Uint8Array): Buffer {
  const work = Buffer.from(hashes);
  for (let count = work.length / hashBytes; count > 1; count /= 2) {
    if (!Number.isInteger(count)) throw new RangeError('a full subtree has a power of two of hashes');
    for (let i = 0; i < count; i += 2) foldPairInPlace(work, i * hashBytes, (i / 2) * hashBytes);
  }
  return work.subarray(0, hashBytes);
}
