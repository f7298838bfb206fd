/**
 * Inclusion and consistency proofs, RFC 6962 sections 2.1.1 and 2.1.2; verification as in RFC 9162 sections 2.1.3.2 and
 * 2.1.4.2. Building asks for roots of full subtrees only: those never change once the tree has grown past them, so they
 * can come from tiles, segments or a cache.
 */
import { requireSize, TreeError } from './errors.ts';
import { hashBytes, nodeHash } from './hash.ts';

/** The full subtree over the leaves from index * 2^level up to, but without, (index + 1) * 2^level. Level 0: one leaf. */
export interface SubtreeId {
  readonly level: number;
  readonly index: number;
}

/** Gives the root of a full subtree. Rejects if it does not have it. */
export type SubtreeReader = (level: number, index: number) => Promise<Buffer>;

/** Leaves from `start` up to, but without, `end`; a node of the tree, full or ragged at its right. */
interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/** Largest power of two smaller than `count`, which is at least 2: where RFC 6962 splits a tree. */
const splitPoint = (count: number): number => {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
};

/** Full subtrees of a range, left to right. */
function fullSubtrees({ start, end }: LeafRange): SubtreeId[] {
  const found: SubtreeId[] = [];
  for (let at = start; at < end;) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level += 1;
    found.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return found;
}

/** Nodes of an inclusion proof, from the leaf's sibling up to the root's child. */
function inclusionRanges(index: number, size: number): LeafRange[] {
  requireSize(index, 'leaf index');
  requireSize(size, 'tree size');
  if (index >= size) throw new TreeError('SIZE_INVALID', `leaf ${index} is not in a tree of size ${size}`);
  const down: LeafRange[] = [];
  let node: LeafRange = { start: 0, end: size };
  while (node.end - node.start > 1) {
    const middle = node.start + splitPoint(node.end - node.start);
    const left = { start: node.start, end: middle };
    const right = { start: middle, end: node.end };
    const leafIsLeft = index < middle;
    down.push(leafIsLeft ? right : left);
    node = leafIsLeft ? left : right;
  }
  return down.toReversed();
}

/** Nodes of a consistency proof, in the order of RFC 6962 section 2.1.2. */
function consistencyRanges(oldSize: number, newSize: number): LeafRange[] {
  requireSize(oldSize, 'old tree size');
  requireSize(newSize, 'new tree size');
  if (oldSize === 0 || oldSize >= newSize) {
    throw new TreeError(
      'SIZE_INVALID',
      `a consistency proof leads from 1 or more to a larger size, got ${oldSize} to ${newSize}`,
    );
  }
  const down: LeafRange[] = [];
  let node: LeafRange = { start: 0, end: newSize };
  while (node.end !== oldSize) {
    const middle = node.start + splitPoint(node.end - node.start);
    const left = { start: node.start, end: middle };
    const right = { start: middle, end: node.end };
    const oldEndsLeft = oldSize <= middle;
    down.push(oldEndsLeft ? right : left);
    node = oldEndsLeft ? left : right;
  }
  // The verifier knows the old root: where it is itself a node of the new tree, it is not sent.
  if (node.start !== 0) down.push(node);
  return down.toReversed();
}

const subtreesOf = (ranges: readonly LeafRange[]): SubtreeId[] => ranges.flatMap(fullSubtrees);

/** All that inclusionProof will ask its reader for, so that a reader can fetch it at once. */
export const subtreesForInclusion = (index: number, size: number): SubtreeId[] =>
  subtreesOf(inclusionRanges(index, size));

/** All that consistencyProof will ask its reader for. */
export const subtreesForConsistency = (oldSize: number, newSize: number): SubtreeId[] =>
  subtreesOf(consistencyRanges(oldSize, newSize));

/** All that rootOfTree will ask its reader for: the right edge of a tree of that size, left to right. */
export const subtreesForRoot = (size: number): SubtreeId[] => fullSubtrees({ start: 0, end: size });

async function readRange(range: LeafRange, subtree: SubtreeReader): Promise<Buffer> {
  const roots = await Promise.all(fullSubtrees(range).map(({ level, index }) => subtree(level, index)));
  return roots.reduceRight((right, left) => nodeHash(left, right));
}

/**
 * Proof that the leaf at `index` is in the tree of `size` leaves: hashes of 32 bytes, from the leaf's sibling up. Empty
 * for a tree of one leaf.
 */
export const inclusionProof = async (index: number, size: number, subtree: SubtreeReader): Promise<Buffer[]> =>
  Promise.all(inclusionRanges(index, size).map((range) => readRange(range, subtree)));

/** Proof that the tree of `oldSize` leaves is a beginning of the tree of `newSize`. 0 < oldSize < newSize. */
export const consistencyProof = async (oldSize: number, newSize: number, subtree: SubtreeReader): Promise<Buffer[]> =>
  Promise.all(consistencyRanges(oldSize, newSize).map((range) => readRange(range, subtree)));

const areHashes = (hashes: readonly Uint8Array[]): boolean => hashes.every((hash) => hash.length === hashBytes);
const isSize = (value: number): boolean => Number.isSafeInteger(value) && value > 0;
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** What verifyInclusion is asked to believe. */
export interface InclusionClaim {
  readonly leafHash: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** True only if the proof shows the leaf at that index in the tree with that root. Never throws. */
export function verifyInclusion({ leafHash, index, size, root, proof }: InclusionClaim): boolean {
  if (!isSize(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  if (!areHashes([leafHash, root, ...proof])) return false;
  let node = index;
  let last = size - 1;
  let hash = leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      // A last node without a sibling of its own moves up until it gets one.
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equal(hash, root);
}

/** What verifyConsistency is asked to believe. */
export interface ConsistencyClaim {
  readonly oldSize: number;
  readonly oldRoot: Uint8Array;
  readonly newSize: number;
  readonly newRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * True only if the proof shows the old tree to be a beginning of the new one. Of size 0 or of equal sizes nothing can be
 * proven, so these are refused: whoever holds two checkpoints of one size compares their roots. Never throws.
 */
export function verifyConsistency({ oldSize, oldRoot, newSize, newRoot, proof }: ConsistencyClaim): boolean {
  if (!isSize(oldSize) || !isSize(newSize) || oldSize >= newSize) return false;
  if (!areHashes([oldRoot, newRoot, ...proof]) || proof.length === 0) return false;
  let node = oldSize - 1;
  let last = newSize - 1;
  while (node % 2 === 1) [node, last] = [(node - 1) / 2, Math.floor(last / 2)];
  // node is 0 now if the old tree is a full subtree of the new one: the proof then starts from the old root itself.
  const path = node === 0 ? [oldRoot, ...proof] : proof;
  let oldHash = path[0]!;
  let newHash = path[0]!;
  for (const sibling of path.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equal(oldHash, oldRoot) && equal(newHash, newRoot);
}
