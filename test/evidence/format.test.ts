import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { formatManifest, membersMax, memberOf } from '../../domain/evidence/manifest.ts';
import { ProofBuilder } from '../../domain/evidence/proofBuilder.ts';
import { tarEnd, tarHeader, tarPadding } from '../../domain/evidence/tar.ts';
import { appendLeaves, emptyEdge } from '../../domain/tree/edge.ts';
import { leafHashes, perfectRoot } from '../../domain/tree/hash.ts';
import { inclusionProof } from '../../domain/tree/proof.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';

describe('an archive', () => {
  it('is read by another implementation as it was written, whatever the sizes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 6 }), async (contents) => {
        const bytes = Buffer.concat([
          ...contents.flatMap((content, at) => [
            tarHeader({ name: `folder/file-${at}.txt`, sizeBytes: content.length, modifiedSeconds: 1_700_000_000 }),
            content,
            tarPadding(content.length),
          ]),
          tarEnd,
        ]);
        expect(bytes.length % 512).toBe(0);
        const read: { name: string; bytes: Buffer; seconds: number | undefined }[] = [];
        for await (const entry of Readable.from([bytes]).pipe(extract())) {
          const chunks: Buffer[] = [];
          for await (const chunk of entry) chunks.push(chunk as Buffer);
          const { name, mtime } = entry.header;
          read.push({ name, bytes: Buffer.concat(chunks), seconds: mtime && mtime.getTime() / 1000 });
        }
        expect(read).toEqual(
          contents.map((content, at) => ({
            name: `folder/file-${at}.txt`,
            bytes: Buffer.from(content),
            seconds: 1_700_000_000,
          })),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('takes no names that a reader might take for something else', () => {
    for (const name of ['', 'a'.repeat(101), 'a b', 'ä', 'a\n'])
      expect(() => tarHeader({ name, sizeBytes: 0, modifiedSeconds: 0 })).toThrow(RangeError);
    expect(() => tarHeader({ name: 'a', sizeBytes: 8 ** 11, modifiedSeconds: 0 })).toThrow(RangeError);
  });
});

describe('a manifest', () => {
  it('lists no more than a note holds', () => {
    const one = memberOf('entries/000000.ndjson', Buffer.from('x'));
    expect(() =>
      formatManifest({ origin: 'o', id: 'i', members: Array.from({ length: membersMax + 1 }, () => one) }),
    ).toThrow(RangeError);
  });
});

/** A tree of that many leaves, and its tiles; `change` alters what is read. */
const treeOf = (size: number, change: (level: number, index: number, tile: Buffer) => void = () => undefined) => {
  const leaves = leafHashes(Array.from({ length: size }, (_, at) => Buffer.from(`entry ${at}`)));
  const hashes = (level: number, first: number, count: number): Buffer =>
    level === 0
      ? Buffer.from(leaves.subarray(first * 32, (first + count) * 32))
      : Buffer.concat(
          Array.from({ length: count }, (_, at) => perfectRoot(hashes(level - 1, (first + at) * tileWidth, tileWidth))),
        );
  const { root } = appendLeaves(emptyEdge, 0, leaves);
  const readHashes = async (level: number, index: number, width: number) => {
    const tile = hashes(level, index * tileWidth, width);
    change(level, index, tile);
    return tile;
  };
  return { size, root, readHashes, leaves };
};

describe('proofs of many entries of one tree', () => {
  it.each([1, 2, 255, 256, 257, 511, 512, 700, 66_000])(
    'are those that are built one by one: %i entries',
    async (size) => {
      const tree = treeOf(size);
      const builder = new ProofBuilder(tree);
      const step = Math.max(1, Math.floor(size / 40));
      for (let index = 0; index < size; index += step) {
        const proven = (await builder.prove(index))!;
        const expected = await inclusionProof(index, size, builder.subtrees);
        expect(proven.hashes).toEqual(expected.map((hash) => hash.toString('base64')));
        expect(proven.leafHash).toEqual(tree.leaves.subarray(index * 32, index * 32 + 32));
      }
    },
  );

  it('are not handed out where a tile does not lead to the root', async () => {
    const altered = (atLevel: number) =>
      new ProofBuilder(
        treeOf(700, (level, index, tile) => {
          if (level === atLevel && index === 0) tile[40]! ^= 1;
        }),
      );
    expect(await altered(0).prove(3)).toBeUndefined();
    expect(await altered(1).prove(690)).toBeUndefined();
  });
});
