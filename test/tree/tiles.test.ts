import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bundlesForSize,
  isTileOfSize,
  parseTilePath,
  placeOfSubtree,
  subtreeInTile,
  tilePath,
  tilesBetween,
  tilesForSize,
  widthInTree,
  type Tile,
} from '../../domain/tree/tiles.ts';
import { numberedEntries } from './reference.ts';
import { StoredTree } from './storedTree.ts';
import { sumdb } from './sumdbVectors.ts';

const large = new StoredTree(numberedEntries(66_000));

const byPath = (list: readonly { path: string }[]) => list.toSorted((a, b) => (a.path < b.path ? -1 : 1));

describe('tile paths', () => {
  it.each([
    [{ kind: 'hashes', level: 0, index: 0, width: 256 }, 'tile/0/000'],
    [{ kind: 'hashes', level: 0, index: 1234067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ kind: 'hashes', level: 63, index: 1000, width: 1 }, 'tile/63/x001/000.p/1'],
    [{ kind: 'entries', index: 999, width: 255 }, 'tile/entries/999.p/255'],
    [{ kind: 'entries', index: 1_000_000, width: 256 }, 'tile/entries/x001/x000/000'],
  ] as const)('%o is %s', (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  it('survive being written and read', () => {
    const width = fc.integer({ min: 1, max: 256 });
    const index = fc.oneof(fc.nat(), fc.maxSafeNat());
    const tile: fc.Arbitrary<Tile> = fc.oneof(
      fc.record({ kind: fc.constant('hashes' as const), level: fc.nat({ max: 63 }), index, width }),
      fc.record({ kind: fc.constant('entries' as const), index, width }),
    );
    fc.assert(
      fc.property(tile, (t) => {
        expect(parseTilePath(tilePath(t))).toEqual(t);
      }),
    );
  });

  it.each([
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/0/x000/000',
    'tile/0/001/002',
    'tile/0/x001/x002',
    'tile/0/x01/002',
    'tile/00/000',
    'tile/01/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/+1/000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000.p',
    'tile/0/000/',
    '/tile/0/000',
    'tile//000',
    'tile/0/000\n',
    'tile/entries',
    'tile/entries/',
    'tile/data/000',
    'tile/8/0/000',
    'tile/0/x999/x999/x999/x999/x999/x999/999',
    'TILE/0/000',
    'tile/0/%30%30%30',
    'tile/0/x000/x000/../000',
    'tile/0/\u0661\u0661\u0661',
  ])('%j is none', (path) => expect(parseTilePath(path)).toBeUndefined());
});

describe('tiles of a tree', () => {
  it('are those of the specification for 70,000 entries', () => {
    const rows = Map.groupBy(tilesForSize(70_000), ({ level }) => level);
    expect([...rows.keys()]).toEqual([0, 1, 2]);
    expect(rows.get(0)).toHaveLength(274);
    expect(rows.get(0)!.at(-1)).toMatchObject({ index: 273, width: 112 });
    expect(rows.get(1)!.map(({ width }) => width)).toEqual([256, 17]);
    expect(rows.get(2)!.map(({ width }) => width)).toEqual([1]);
  });

  it('are a full one and one of width 1 for 256 entries, and none for 0', () => {
    expect([...tilesForSize(256)].map(tilePath)).toEqual(['tile/0/000', 'tile/1/000.p/1']);
    expect([...tilesForSize(0)]).toEqual([]);
    expect([...bundlesForSize(0)]).toEqual([]);
  });

  it('hold the bytes that golang.org/x/mod/sumdb/tlog gives', () => {
    const small = new StoredTree(numberedEntries(sumdb.tilesOf));
    const made = [...tilesForSize(sumdb.tilesOf)].map((t) => ({
      path: tilePath(t),
      hex: small.tile(t).toString('hex'),
    }));
    expect(byPath(made)).toEqual(byPath(sumdb.tiles));
  });

  it('are never empty, never wider than 256, and partial only at the right edge', () => {
    const around = [65_535, 65_536, 65_537, 131_071, 131_072];
    for (const size of [...Array.from({ length: 601 }, (_, i) => i), ...around]) {
      for (const tile of tilesForSize(size)) {
        expect(tile.width).toBeGreaterThan(0);
        expect(tile.width).toBe(Math.min(256, Math.floor(size / 256 ** tile.level) - tile.index * 256));
        expect(isTileOfSize(tile, size)).toBe(true);
      }
      const bundled = [...bundlesForSize(size)].reduce((sum, { width }) => sum + width, 0);
      expect(bundled).toBe(size);
    }
  });

  it('that are new after growth are exactly those that the old tree lacks', () => {
    const size = fc.oneof(fc.nat({ max: 2000 }), fc.integer({ min: 65_000, max: 66_500 }));
    fc.assert(
      fc.property(size, size, (a, b) => {
        const [oldSize, newSize] = a < b ? [a, b] : [b, a];
        const old = new Set([...tilesForSize(oldSize)].map(tilePath));
        const lacking = [...tilesForSize(newSize)].map(tilePath).filter((path) => !old.has(path));
        expect([...tilesBetween(oldSize, newSize)].map(tilePath)).toEqual(lacking);
      }),
      { numRuns: 50 },
    );
  });

  it('are told from tiles of other sizes', () => {
    expect(isTileOfSize({ kind: 'entries', index: 2, width: 88 }, 600)).toBe(true);
    expect(isTileOfSize({ kind: 'entries', index: 2, width: 87 }, 600)).toBe(false);
    expect(isTileOfSize({ kind: 'hashes', level: 1, index: 0, width: 2 }, 600)).toBe(true);
    expect(isTileOfSize({ kind: 'hashes', level: 2, index: 0, width: 1 }, 600)).toBe(false);
    expect(widthInTree(0, 3, 600)).toBe(0);
  });

  it('hold the root of every full subtree at the place that is named for it', async () => {
    for (let level = 0; level <= 16; level += 1) {
      const last = Math.floor(66_000 / 2 ** level) - 1;
      for (const index of new Set([0, Math.floor(last / 2), last])) {
        const place = placeOfSubtree(level, index);
        const { tileLevel, tileIndex } = place;
        const width = widthInTree(tileLevel, tileIndex, 66_000);
        const bytes = large.tile({ kind: 'hashes', level: tileLevel, index: tileIndex, width });
        expect(subtreeInTile(bytes, place).equals(await large.subtree(level, index)), `${level}/${index}`).toBe(true);
      }
    }
  });

  it('that are too short for a subtree are refused', () => {
    expect(() => subtreeInTile(Buffer.alloc(32 * 3), placeOfSubtree(2, 0))).toThrow(
      '96 bytes, the subtree in it ends at 128',
    );
  });
});
