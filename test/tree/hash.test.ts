import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { emptyRoot, leafHash, leafHashes, nodeHash, perfectRoot } from '../../domain/tree/hash.ts';
import { ctEntries, referenceLeaf, referenceRoot } from './reference.ts';

describe('tree hashing', () => {
  it('gives the empty tree the hash of nothing', () => {
    expect(emptyRoot.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it.each([0, 1, 64, 4096, 65_534, 65_535, 65_536, 100_000])(
    'hashes an entry of %i bytes behind a zero byte',
    (size) => {
      const entry = randomBytes(size);
      expect(leafHash(entry).equals(referenceLeaf(entry))).toBe(true);
    },
  );

  it('is not confused by a long entry before a short one', () => {
    leafHash(randomBytes(1000));
    expect(leafHash(Buffer.from('x')).equals(referenceLeaf(Buffer.from('x')))).toBe(true);
  });

  it('hashes two nodes behind a one byte', () => {
    const [left, right] = [randomBytes(32), randomBytes(32)];
    const want = createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest();
    expect(nodeHash(left, right).equals(want)).toBe(true);
  });

  it('keeps leaves and nodes apart', () => {
    const [left, right] = [randomBytes(32), randomBytes(32)];
    expect(leafHash(Buffer.concat([left, right])).equals(nodeHash(left, right))).toBe(false);
  });

  it('gives the root of a full subtree and leaves its input as it was', () => {
    const hashes = leafHashes(ctEntries);
    const before = Buffer.from(hashes);
    expect(perfectRoot(hashes).equals(referenceRoot(ctEntries))).toBe(true);
    expect(hashes.equals(before)).toBe(true);
    expect(() => perfectRoot(hashes.subarray(0, 96))).toThrow(RangeError);
  });
});
