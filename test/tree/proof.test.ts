import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  consistencyProof,
  inclusionProof,
  subtreesForConsistency,
  subtreesForInclusion,
  verifyConsistency,
  verifyInclusion,
} from '../../domain/tree/proof.ts';
import { leafHash, nodeHash } from '../../domain/tree/hash.ts';
import { ctEntries, ctRoots, numberedEntries, referencePath, referenceProof, referenceRoot } from './reference.ts';
import { StoredTree } from './storedTree.ts';
import { sumdb } from './sumdbVectors.ts';

const entries = numberedEntries(600);
const tree = new StoredTree(entries);
const hex = (hashes: readonly Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('hex'));
const flip = (hash: Uint8Array, bit = 0) => {
  const other = Buffer.from(hash);
  other[bit >> 3]! ^= 1 << (bit & 7);
  return other;
};

const sizes = fc.oneof(
  fc.integer({ min: 1, max: 600 }),
  fc.constantFrom(1, 2, 3, 127, 128, 129, 255, 256, 257, 511, 512, 513),
);

describe('inclusion proofs', () => {
  it('are those of RFC 6962, and verify', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async (size, n) => {
        const index = n % size;
        const part = entries.slice(0, size);
        const proof = await inclusionProof(index, size, tree.subtree);
        expect(hex(proof)).toEqual(hex(referencePath(index, part)));
        const claim = { leafHash: leafHash(entries[index]!), index, size, root: referenceRoot(part), proof };
        expect(verifyInclusion(claim)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('are those of golang.org/x/mod/sumdb/tlog, up to 70,000 leaves', async () => {
    const large = new StoredTree(numberedEntries(70_000));
    for (const { from: index, size, hashes } of sumdb.inclusion) {
      const proof = await inclusionProof(index, size, large.subtree);
      expect(hex(proof)).toEqual(hashes);
      const root = Buffer.from(sumdb.roots[size]!, 'hex');
      expect(verifyInclusion({ leafHash: large.leaf(index), index, size, root, proof })).toBe(true);
    }
    for (const { from, size, hashes } of sumdb.consistency) {
      expect(hex(await consistencyProof(from, size, large.subtree))).toEqual(hashes);
    }
  });

  it('verify for the leaves of certificate-transparency', async () => {
    const ct = new StoredTree(ctEntries);
    for (let size = 1; size <= 8; size += 1) {
      const root = Buffer.from(ctRoots[size - 1]!, 'hex');
      for (let index = 0; index < size; index += 1) {
        const proof = await inclusionProof(index, size, ct.subtree);
        expect(verifyInclusion({ leafHash: leafHash(ctEntries[index]!), index, size, root, proof })).toBe(true);
      }
    }
  });

  it('are planned exactly', async () => {
    for (const [index, size] of [
      [0, 1],
      [3, 7],
      [255, 600],
      [599, 600],
    ] as const) {
      const reader = new StoredTree(entries);
      await inclusionProof(index, size, reader.subtree);
      expect(reader.asked).toEqual(subtreesForInclusion(index, size));
    }
  });

  it('can be planned for trees of more than 2^32 leaves', () => {
    expect(subtreesForInclusion(2 ** 45, 2 ** 50)).toHaveLength(50);
  });

  it('do not verify with anything in them changed', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat({ max: 255 }), async (size, n, bit) => {
        const index = n % size;
        const root = referenceRoot(entries.slice(0, size));
        const proof = await inclusionProof(index, size, tree.subtree);
        const claim = { leafHash: leafHash(entries[index]!), index, size, root, proof };
        expect(verifyInclusion({ ...claim, leafHash: flip(claim.leafHash, bit) })).toBe(false);
        expect(verifyInclusion({ ...claim, root: flip(root, bit) })).toBe(false);
        expect(verifyInclusion({ ...claim, index: index + 1 })).toBe(false);
        expect(verifyInclusion({ ...claim, index: index - 1 })).toBe(false);
        expect(verifyInclusion({ ...claim, proof: [...proof, root] })).toBe(false);
        expect(verifyInclusion({ ...claim, proof: [root, ...proof] })).toBe(false);
        for (const [i, hash] of proof.entries()) {
          expect(verifyInclusion({ ...claim, proof: proof.with(i, flip(hash, bit)) })).toBe(false);
          expect(verifyInclusion({ ...claim, proof: proof.toSpliced(i, 1) })).toBe(false);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('do not verify for sizes and lengths that can not be', () => {
    const leaf = leafHash(Buffer.from('x'));
    const claim = { leafHash: leaf, index: 0, size: 1, root: leaf, proof: [] };
    expect(verifyInclusion(claim)).toBe(true);
    for (const wrong of [
      { size: 0 },
      { size: -1 },
      { size: 1.5 },
      { size: Number.NaN },
      { size: 2 ** 53 },
      { index: 1 },
      { index: -1 },
      { index: 0.5 },
      { leafHash: leaf.subarray(1) },
      { root: Buffer.concat([leaf, leaf]) },
      { size: 2, proof: [leaf.subarray(1)] },
    ]) {
      expect(verifyInclusion({ ...claim, ...wrong }), `claim with ${JSON.stringify(wrong)}`).toBe(false);
    }
  });

  it('do not verify beyond the root of a tree of the size that is claimed', async () => {
    const [first, second] = [tree.leaf(0), tree.leaf(1)];
    const root = referenceRoot(entries.slice(0, 2));
    expect(verifyInclusion({ leafHash: second, index: 1, size: 2, root, proof: [first] })).toBe(true);
    expect(verifyInclusion({ leafHash: second, index: 0, size: 1, root, proof: [first] })).toBe(false);
  });

  it('are refused for leaves that the tree does not have', async () => {
    await expect(inclusionProof(600, 600, tree.subtree)).rejects.toThrow('leaf 600 is not in a tree of size 600');
    await expect(inclusionProof(0, 0, tree.subtree)).rejects.toThrow('leaf 0 is not in a tree of size 0');
    await expect(inclusionProof(-1, 5, tree.subtree)).rejects.toThrow('non-negative safe integer');
  });
});

const claimOf = async (oldSize: number, newSize: number) => ({
  oldSize,
  oldRoot: referenceRoot(entries.slice(0, oldSize)),
  newSize,
  newRoot: referenceRoot(entries.slice(0, newSize)),
  proof: await consistencyProof(oldSize, newSize, tree.subtree),
});

describe('consistency proofs', () => {
  it('are those of RFC 6962, and verify', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (a, b) => {
        fc.pre(a !== b);
        const [oldSize, newSize] = a < b ? [a, b] : [b, a];
        const claim = await claimOf(oldSize, newSize);
        expect(hex(claim.proof)).toEqual(hex(referenceProof(oldSize, entries.slice(0, newSize))));
        expect(verifyConsistency(claim)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('are planned exactly', async () => {
    for (const [oldSize, newSize] of [
      [1, 2],
      [4, 8],
      [6, 8],
      [256, 600],
      [257, 600],
    ] as const) {
      const reader = new StoredTree(entries);
      await consistencyProof(oldSize, newSize, reader.subtree);
      expect(reader.asked).toEqual(subtreesForConsistency(oldSize, newSize));
    }
  });

  it('do not verify with anything in them changed', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, fc.nat({ max: 255 }), async (a, b, bit) => {
        fc.pre(a !== b);
        const claim = await claimOf(Math.min(a, b), Math.max(a, b));
        const { proof, oldRoot, newRoot, oldSize, newSize } = claim;
        expect(verifyConsistency({ ...claim, oldRoot: flip(oldRoot, bit) })).toBe(false);
        expect(verifyConsistency({ ...claim, newRoot: flip(newRoot, bit) })).toBe(false);
        expect(verifyConsistency({ ...claim, oldSize: newSize, newSize: oldSize })).toBe(false);
        expect(verifyConsistency({ ...claim, proof: [...proof, newRoot] })).toBe(false);
        for (const [i, hash] of proof.entries()) {
          expect(verifyConsistency({ ...claim, proof: proof.with(i, flip(hash, bit)) })).toBe(false);
          expect(verifyConsistency({ ...claim, proof: proof.toSpliced(i, 1) })).toBe(false);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('do not verify beyond the roots of trees of the sizes that are claimed', async () => {
    const claim = await claimOf(2, 3);
    const above = tree.leaf(9);
    const [oldRoot, newRoot] = [nodeHash(above, claim.oldRoot), nodeHash(above, claim.newRoot)];
    expect(verifyConsistency({ ...claim, oldRoot, newRoot, proof: [...claim.proof, above] })).toBe(false);
  });

  it('prove nothing about empty or equal trees, and are refused', async () => {
    const claim = await claimOf(5, 9);
    const { oldRoot, newRoot } = claim;
    expect(verifyConsistency({ ...claim, oldSize: 0 })).toBe(false);
    expect(verifyConsistency({ oldSize: 5, oldRoot, newSize: 5, newRoot: oldRoot, proof: [] })).toBe(false);
    expect(verifyConsistency({ oldSize: 4, oldRoot: newRoot, newSize: 9, newRoot, proof: [] })).toBe(false);
    await expect(consistencyProof(0, 9, tree.subtree)).rejects.toThrow('got 0 to 9');
    await expect(consistencyProof(9, 9, tree.subtree)).rejects.toThrow('got 9 to 9');
    await expect(consistencyProof(10, 9, tree.subtree)).rejects.toThrow('got 10 to 9');
  });
});
