/** The full tiles beside what they are made of: the leaf hashes of the record, and the tiles below. */
import { Binary } from 'mongodb';
import { hashBytes, perfectRoot } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { lookedAtNothing } from '../../domain/verification/looked.ts';
import { tailsOf } from '../projection.ts';
import { tilesOf, type TileDocument } from '../tile-reader.ts';
import { recordedLeaves } from './record-entries.ts';
import type { Walked } from './record-walk.ts';
import type { VerifiedLog } from './verified-log.ts';

/** The next tile to be looked at. */
export interface TileCursor {
  readonly level: number;
  readonly index: number;
}

export interface TilesWalked extends Pick<Walked, 'looked' | 'differences'> {
  /** Undefined when all tiles were looked at. */
  readonly next: TileCursor | undefined;
}

export const tileTail = 'tiles';
const surplusNamedMax = 20;

/** Leaves below one tile of a level. */
const span = (level: number): number => tileWidth ** (level + 1);

/** Looks at `tilesMax` full tiles of a log of `size` entries. */
export const walkTiles = async (
  log: VerifiedLog,
  { from, size, tilesMax, signal }: { from: TileCursor; size: number; tilesMax: number; signal?: AbortSignal },
): Promise<TilesWalked> => {
  const differences: Difference[] = [];
  // What the tail has not dealt with may be missing.
  const written = (await tailsOf(log.client, log.instance).findOne({ _id: tileTail }))?.next ?? 0;
  let tiles = 0;
  let { level, index } = from;
  for (; span(level) <= size; level += 1, index = 0)
    for (; (index + 1) * span(level) <= size; index += 1) {
      signal?.throwIfAborted();
      if (tiles >= tilesMax) return { next: { level, index }, looked: { ...lookedAtNothing, tiles }, differences };
      tiles += 1;
      const found = await faultOfTile(log, level, index, (index + 1) * span(level) <= written);
      if (found) differences.push(found);
    }
  differences.push(...(await surplus(log, size)));
  return { next: undefined, looked: { ...lookedAtNothing, tiles }, differences };
};

/** What a tile must hold; undefined where what it is made of is not whole. */
export const tileHashes = async (log: VerifiedLog, level: number, index: number): Promise<Buffer | undefined> => {
  const first = index * tileWidth;
  if (level === 0) return recordedLeaves(log, first, first + tileWidth);
  const roots = Buffer.alloc(tileWidth * hashBytes);
  for (let position = 0; position < tileWidth; position += 1) {
    const below = await tilesOf(log.client, log.instance).findOne({ _id: `${level - 1}/${first + position}` });
    const hashes = below && wholeTile(below) ? below.hashes.buffer : await tileHashes(log, level - 1, first + position);
    if (!hashes) return undefined;
    roots.set(perfectRoot(hashes), position * hashBytes);
  }
  return roots;
};

export const wholeTile = ({ hashes }: TileDocument): boolean =>
  hashes instanceof Binary && hashes.length() === tileWidth * hashBytes;

const faultOfTile = async (
  log: VerifiedLog,
  level: number,
  index: number,
  due: boolean,
): Promise<Difference | undefined> => {
  const wanted = await tileHashes(log, level, index);
  // Missing leaves are the record's fault, and named there.
  if (!wanted) return undefined;
  const tile = await tilesOf(log.client, log.instance).findOne({ _id: `${level}/${index}` });
  const differs = (kind: Difference['kind'], first: number, last: number): Difference => ({
    kind,
    store: 'tiles',
    index: first,
    ...(last > first && { lastIndex: last }),
    place: `tiles/${level}/${index}`,
  });
  const all = [index * span(level), (index + 1) * span(level) - 1] as const;
  if (!tile) return due ? differs('tile-missing', ...all) : undefined;
  if (!wholeTile(tile)) return differs('tile-malformed', ...all);
  const below = span(level) / tileWidth;
  for (let position = 0; position < tileWidth; position += 1) {
    const at = position * hashBytes;
    if (Buffer.compare(tile.hashes.buffer.subarray(at, at + hashBytes), wanted.subarray(at, at + hashBytes)) === 0)
      continue;
    const first = all[0] + position * below;
    return differs('tile-altered', first, first + below - 1);
  }
  const root = tile.root instanceof Binary ? tile.root.buffer : Buffer.alloc(0);
  return perfectRoot(wanted).equals(root) ? undefined : differs('tile-altered', ...all);
};

const surplus = async (log: VerifiedLog, size: number): Promise<Difference[]> =>
  (await surplusTiles(log, size)).map((id) => ({ kind: 'tile-surplus', store: 'tiles', place: `tiles/${id}` }));

/** Ids of documents that are no full tile of the tree; some of them, where there are many. */
export const surplusTiles = async (log: VerifiedLog, size: number): Promise<string[]> => {
  const found: string[] = [];
  // Tiles of entries that were appended meanwhile are no surplus.
  const written = (await tailsOf(log.client, log.instance).findOne({ _id: tileTail }))?.next ?? 0;
  for await (const { _id } of tilesOf(log.client, log.instance).find({}, { projection: { _id: 1 } }))
    if (!isTileOf(_id, Math.max(size, written)) && found.push(_id) >= surplusNamedMax) break;
  return found;
};

export const isTileOf = (id: unknown, size: number): boolean => {
  const match = typeof id === 'string' ? /^(0|[1-9]\d?)\/(0|[1-9]\d{0,15})$/.exec(id) : null;
  return match !== null && (Number(match[2]) + 1) * span(Number(match[1])) <= size;
};
