/**
 * The right edge of a tree (also: compact range, frontier): the roots of its maximal full subtrees, left to right. A tree
 * of `size` leaves has as many as `size` has one bits. The edge and the size are all that is needed to append, and to know
 * the root.
 */
import { TreeError, requireSize } from './errors.ts';
import { emptyRoot, foldPairInPlace, hashBytes, nodeHash } from './hash.ts';

/** 32 bytes each, the largest subtree first. */
export type Edge = readonly Buffer[];

export interface GrownTree {
  readonly edge: Edge;
  readonly size: number;
  readonly root: Buffer;
}

export const emptyEdge: Edge = [];

const popcount32 = (value: number): number => {
  let count = 0;
  for (let rest = value >>> 0; rest !== 0; rest &= rest - 1) count += 1;
  return count;
};

/** Number of hashes in the edge of a tree of `size` leaves. */
export function edgeLength(size: number): number {
  requireSize(size, 'tree size');
  return popcount32(Math.floor(size / 2 ** 32)) + popcount32(size % 2 ** 32);
}

function requireEdge(edge: Edge, size: number): void {
  const want = edgeLength(size);
  if (edge.length !== want) {
    throw new TreeError('EDGE_MISMATCH', `the edge of a tree of size ${size} has ${want} hashes, got ${edge.length}`);
  }
}

/** Root of the tree; RFC 6962 hashes the edge from the right. */
export function rootOfEdge(edge: Edge, size: number): Buffer {
  requireEdge(edge, size);
  if (size === 0) return Buffer.from(emptyRoot);
  let root = edge.at(-1)!;
  for (let i = edge.length - 2; i >= 0; i -= 1) root = nodeHash(edge[i]!, root);
  return Buffer.from(root);
}

const flatten = (leafHashes: Uint8Array | readonly Uint8Array[]): Uint8Array => {
  const flat = leafHashes instanceof Uint8Array ? leafHashes : Buffer.concat(leafHashes);
  if (flat.length % hashBytes !== 0) {
    throw new TreeError('HASH_LENGTH', `leaf hashes are 32 bytes each, got ${flat.length} bytes`);
  }
  return flat;
};

/** Full subtrees that end where leaf number `size` (counted from 1) ends, and are smaller than the one that starts there. */
const mergesAfter = (size: number): number => {
  let merges = 0;
  for (let rest = size; rest % 2 === 0; rest /= 2) merges += 1;
  return merges;
};

/**
 * Appends leaves, given as leaf hashes (concatenated, or one buffer each), to the tree that `edge` and `size` stand for.
 * The input is left as it is. Costs one node hash a leaf.
 */
export function appendLeaves(edge: Edge, size: number, leafHashes: Uint8Array | readonly Uint8Array[]): GrownTree {
  requireEdge(edge, size);
  const leaves = flatten(leafHashes);
  const grownSize = size + leaves.length / hashBytes;
  requireSize(grownSize, 'tree size');
  // A stack of hashes side by side, so that the two uppermost are one slice: at most 53, one for each bit, and the new leaf.
  const stack = Buffer.allocUnsafe(64 * hashBytes);
  let height = 0;
  for (const hash of edge) stack.set(hash, hashBytes * height++);
  for (let at = 0, count = size + 1; at < leaves.length; at += hashBytes, count += 1) {
    stack.set(leaves.subarray(at, at + hashBytes), hashBytes * height++);
    for (let merges = mergesAfter(count); merges > 0; merges -= 1) {
      height -= 1;
      foldPairInPlace(stack, (height - 1) * hashBytes, (height - 1) * hashBytes);
    }
  }
  const grown: Buffer[] = [];
  for (let i = 0; i < height; i += 1) grown.push(Buffer.from(stack.subarray(i * hashBytes, (i + 1) * hashBytes)));
  return { edge: grown, size: grownSize, root: rootOfEdge(grown, grownSize) };
}

/**
 * Appends a full subtree of 2^level leaves by its root. `size` must be a multiple of 2^level: elsewhere no subtree of
 * that height can begin.
 */
export function appendSubtree(edge: Edge, size: number, level: number, root: Uint8Array): GrownTree {
  requireEdge(edge, size);
  const width = 2 ** level;
  if (size % width !== 0) {
    throw new TreeError('SIZE_INVALID', `no full subtree of level ${level} can begin at ${size}`);
  }
  const units = appendLeaves(edge, size / width, [root]);
  return { edge: units.edge, size: size + width, root: units.root };
}

/** The edge as bytes: its hashes one after the other. */
export const encodeEdge = (edge: Edge): Buffer => Buffer.concat(edge);

/** Reads what encodeEdge wrote, and refuses a length that does not fit `size`. */
export function decodeEdge(bytes: Uint8Array, size: number): Edge {
  const want = edgeLength(size) * hashBytes;
  if (bytes.length !== want) {
    throw new TreeError('EDGE_MISMATCH', `the edge of a tree of size ${size} takes ${want} bytes, got ${bytes.length}`);
  }
  const edge: Buffer[] = [];
  for (let at = 0; at < want; at += hashBytes) edge.push(Buffer.from(bytes.subarray(at, at + hashBytes)));
  return edge;
}
