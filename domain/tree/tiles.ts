/**
 * Tiles, c2sp.org/tlog-tiles: the tree cut into rows of up to 256 hashes, eight levels of the tree apart, at paths that
 * can be served as files. Tile level L holds roots of subtrees of 256^L leaves; entry bundles run beside level 0.
 */
import { requireSize, TreeError } from './errors.ts';
import { hashBytes, perfectRoot } from './hash.ts';

export { decodeBundle, encodeBundle } from './bundle.ts';

/** Hashes in a full tile, and entries in a full bundle. */
export const tileWidth = 256;
const tileHeight = 8;
const tileLevelMax = 63;

/** `width` is the number of hashes, 1 to 256; below 256 the tile is partial. */
export interface HashTile {
  readonly kind: 'hashes';
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** `width` is the number of entries, 1 to 256. */
export interface EntriesTile {
  readonly kind: 'entries';
  readonly index: number;
  readonly width: number;
}

export type Tile = HashTile | EntriesTile;

/** 1234067 as `x001/x234/067`. */
function indexPath(index: number): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/.{3}/g) ?? [];
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

/** Path below the log's URL prefix: `tile/<L>/<N>[.p/<W>]`, or `tile/entries/<N>[.p/<W>]`. */
export function tilePath(tile: Tile): string {
  const row = tile.kind === 'entries' ? 'entries' : String(tile.level);
  return `tile/${row}/${indexPath(tile.index)}${tile.width === tileWidth ? '' : `.p/${tile.width}`}`;
}

const pathPattern = /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** Reads a tile path. Undefined for every spelling but the one that tilePath gives. */
export function parseTilePath(path: string): Tile | undefined {
  const match = pathPattern.exec(path);
  if (!match) return undefined;
  const [, row, digits, partial] = match;
  const index = Number(digits!.replaceAll(/[x/]/g, ''));
  const width = partial === undefined ? tileWidth : Number(partial);
  const level = Number(row);
  if (!Number.isSafeInteger(index) || width > tileWidth || level > tileLevelMax) return undefined;
  const tile: Tile = row === 'entries' ? { kind: 'entries', index, width } : { kind: 'hashes', level, index, width };
  return tilePath(tile) === path ? tile : undefined;
}

/** Hashes at tile level `level` in a tree of `size` leaves: only full subtrees count. */
const rowLength = (level: number, size: number): number => Math.floor(size / tileWidth ** level);

/** Width that tile `index` of `level` has in a tree of `size` leaves; 0 if the tree has no such tile. */
export function widthInTree(level: number, index: number, size: number): number {
  return Math.max(0, Math.min(tileWidth, rowLength(level, size) - index * tileWidth));
}

/**
 * Hash tiles that a tree of `newSize` has and one of `oldSize` has not, or has narrower: what must be published for
 * `newSize`, lowest level first. With `oldSize` 0: all tiles of the tree.
 */
export function* tilesBetween(oldSize: number, newSize: number): Generator<HashTile> {
  requireSize(oldSize, 'old tree size');
  requireSize(newSize, 'new tree size');
  for (let level = 0; rowLength(level, newSize) > 0; level += 1) {
    if (rowLength(level, oldSize) === rowLength(level, newSize)) continue;
    for (let index = Math.floor(rowLength(level, oldSize) / tileWidth); ; index += 1) {
      const width = widthInTree(level, index, newSize);
      if (width === 0) break;
      yield { kind: 'hashes', level, index, width };
    }
  }
}

/** All hash tiles of a tree of `size` leaves, the partial ones too. */
export const tilesForSize = (size: number): Generator<HashTile> => tilesBetween(0, size);

/** All entry bundles of a tree of `size` leaves. */
export function* bundlesForSize(size: number): Generator<EntriesTile> {
  requireSize(size, 'tree size');
  for (let index = 0; index * tileWidth < size; index += 1) {
    yield { kind: 'entries', index, width: widthInTree(0, index, size) };
  }
}

/** True if a log that published a checkpoint of `size` must serve this tile: for it the partial tiles are exact. */
export const isTileOfSize = (tile: Tile, size: number): boolean =>
  tile.width === widthInTree(tile.kind === 'entries' ? 0 : tile.level, tile.index, size);

/** Where the root of a full subtree is to be had. */
export interface SubtreePlace {
  readonly tileLevel: number;
  readonly tileIndex: number;
  /** The subtree is over this many hashes of the tile, a power of two, the first of them at `offset`. */
  readonly offset: number;
  readonly count: number;
}

/** Which tile, and which of its hashes, a full subtree (2^level leaves) is made of. */
export function placeOfSubtree(level: number, index: number): SubtreePlace {
  requireSize(level, 'subtree level');
  requireSize(index, 'subtree index');
  const count = 2 ** (level % tileHeight);
  const first = index * count;
  return {
    tileLevel: Math.floor(level / tileHeight),
    tileIndex: Math.floor(first / tileWidth),
    offset: first % tileWidth,
    count,
  };
}

/** Root of the subtree, from the bytes of the tile that placeOfSubtree names (it may be partial, if wide enough). */
export function subtreeInTile(tileBytes: Uint8Array, { offset, count }: SubtreePlace): Buffer {
  const end = (offset + count) * hashBytes;
  if (tileBytes.length < end) {
    throw new TreeError('TILE_MALFORMED', `the tile has ${tileBytes.length} bytes, the subtree in it ends at ${end}`);
  }
  return perfectRoot(tileBytes.subarray(offset * hashBytes, end));
}
