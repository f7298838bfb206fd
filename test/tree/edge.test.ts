import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  appendLeaves,
  appendSubtree,
  decodeEdge,
  edgeLength,
  emptyEdge,
  encodeEdge,
  rootOfEdge,
  type GrownTree,
} from '../../domain/tree/edge.ts';
import { hashBytes, leafHashes, perfectRoot } from '../../domain/tree/hash.ts';
import { ctEntries, ctRoots, numberedEntries, referenceRoot } from './reference.ts';
import { sumdb } from './sumdbVectors.ts';

const grow = (entries: readonly Uint8Array[]) => appendLeaves(emptyEdge, 0, leafHashes(entries));

describe('the right edge', () => {
  it('gives the roots that certificate-transparency has for its eight leaves', () => {
    const roots = ctEntries.map((_, i) => grow(ctEntries.slice(0, i + 1)).root.toString('hex'));
    expect(roots).toEqual(ctRoots);
  });

  it('gives the same roots as RFC 6962 for every size to 600', () => {
    const entries = numberedEntries(600);
    let tree = { edge: emptyEdge, size: 0, root: rootOfEdge(emptyEdge, 0) };
    for (let size = 0; size <= 600; size += 1) {
      expect(tree.root.equals(referenceRoot(entries.slice(0, size))), `size ${size}`).toBe(true);
      expect(tree.edge.length).toBe(edgeLength(size));
      if (size < 600) tree = appendLeaves(tree.edge, tree.size, leafHashes([entries[size]!]));
    }
  });

  it('gives the same roots as golang.org/x/mod/sumdb/tlog, up to 70,000 leaves', () => {
    const leaves = leafHashes(numberedEntries(70_000));
    for (const [size, root] of Object.entries(sumdb.roots)) {
      const grown = appendLeaves(emptyEdge, 0, leaves.subarray(0, Number(size) * hashBytes));
      expect(grown.root.toString('hex'), `size ${size}`).toBe(root);
    }
  });

  it('does not depend on how leaves are cut into batches', () => {
    const leaves = leafHashes(numberedEntries(1500));
    const whole = appendLeaves(emptyEdge, 0, leaves);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 12 }), (counts) => {
        let tree: GrownTree = { edge: emptyEdge, size: 0, root: Buffer.alloc(0) };
        for (const count of [...counts, 1500]) {
          const end = Math.min(1500, tree.size + count);
          tree = appendLeaves(tree.edge, tree.size, leaves.subarray(tree.size * hashBytes, end * hashBytes));
        }
        expect(tree).toEqual(whole);
      }),
      { numRuns: 60 },
    );
  });

  it('takes leaf hashes one buffer each as well', () => {
    const leaves = leafHashes(numberedEntries(5));
    const apart = Array.from({ length: 5 }, (_, i) => leaves.subarray(i * hashBytes, (i + 1) * hashBytes));
    expect(appendLeaves(emptyEdge, 0, apart)).toEqual(appendLeaves(emptyEdge, 0, leaves));
  });

  it('takes a full subtree by its root where one can begin, and nowhere else', () => {
    const leaves = leafHashes(numberedEntries(768));
    const first = appendLeaves(emptyEdge, 0, leaves.subarray(0, 512 * hashBytes));
    const root = perfectRoot(leaves.subarray(512 * hashBytes));
    expect(appendSubtree(first.edge, 512, 8, root)).toEqual(appendLeaves(emptyEdge, 0, leaves));
    const ragged = appendLeaves(emptyEdge, 0, leaves.subarray(0, 500 * hashBytes));
    expect(() => appendSubtree(ragged.edge, 500, 8, root)).toThrow('no full subtree of level 8 can begin at 500');
  });

  it('leaves the edge that it was given as it was', () => {
    const { edge } = grow(numberedEntries(7));
    const before = encodeEdge(edge);
    appendLeaves(edge, 7, leafHashes(numberedEntries(9)));
    expect(encodeEdge(edge).equals(before)).toBe(true);
  });

  it('survives being written and read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 600 }), (size) => {
        const { edge } = grow(numberedEntries(size));
        expect(decodeEdge(encodeEdge(edge), size)).toEqual(edge);
      }),
      { numRuns: 50 },
    );
  });

  it('refuses an edge that does not fit its size', () => {
    const { edge } = grow(numberedEntries(7));
    expect(() => rootOfEdge(edge, 8)).toThrow('the edge of a tree of size 8 has 1 hashes, got 3');
    expect(() => appendLeaves(edge, 6, Buffer.alloc(32))).toThrow('the edge of a tree of size 6 has 2 hashes, got 3');
    expect(() => decodeEdge(encodeEdge(edge), 6)).toThrow('takes 64 bytes, got 96');
    expect(() => decodeEdge(encodeEdge(edge).subarray(1), 7)).toThrow('takes 96 bytes, got 95');
  });

  it('refuses leaf hashes that are not 32 bytes, and sizes that are no sizes', () => {
    expect(() => appendLeaves(emptyEdge, 0, Buffer.alloc(33))).toThrow('32 bytes each');
    expect(() => edgeLength(-1)).toThrow('non-negative safe integer');
    expect(() => edgeLength(1.5)).toThrow('non-negative safe integer');
    expect(() => edgeLength(2 ** 53)).toThrow('non-negative safe integer');
  });

  it('counts the edge of trees of more than 2^32 leaves', () => {
    expect(edgeLength(2 ** 53 - 1)).toBe(53);
    expect(edgeLength(2 ** 40 + 5)).toBe(3);
  });
});
