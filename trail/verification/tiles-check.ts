/** The full tiles beside what they are made of. Those of the leaves are looked at on the walk along the record. */
import { Binary } from 'mongodb';
import { hashBytes, perfectRoot } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { lookedAtNothing } from '../../domain/verification/looked.ts';
import { tailsOf } from '../projection.ts';
import { tilesOf, type TileDocument } from '../tile-reader.ts';
import type { Walked } from './record-walk.ts';
import type { VerifiedLog } from './verified-log.ts';

/** The next tile to be looked at. */
export interface TilePlace {
  readonly level: number;
  readonly index: number;
}

export interface TilesWalked extends Pick<Walked, 'looked' | 'differences'> {
  /** Undefined when all tiles were looked at. */
  readonly next: TilePlace | undefined;
}

export const tileTail = 'tiles';
const surplusNamedMax = 20;

/** Leaves below one tile of a level. */
const span = (level: number): number => tileWidth ** (level + 1);

/** Number of entries that the tiles say they are made of. */
export const tiledTo = async ({ client, instance }: VerifiedLog): Promise<number> =>
  (await tailsOf(client, instance).findOne({ _id: tileTail }))?.next ?? 0;

/** The full tiles above the leaves, of a log of `size` entries, from `from` on; lowest level first. */
export function* tilesAbove(from: TilePlace, size: number): Generator<TilePlace> {
  let { level, index } = from;
  for (; span(level) <= size; level += 1, index = 0)
    for (; (index + 1) * span(level) <= size; index += 1) yield { level, index };
}

/** Looks at `tilesMax` of the tiles above the leaves, and in the end at what is no tile of the log. */
export const walkTiles = async (
  log: VerifiedLog,
  { from, size, tilesMax, signal }: { from: TilePlace; size: number; tilesMax: number; signal?: AbortSignal },
): Promise<TilesWalked> => {
  const differences: Difference[] = [];
  const tiled = await tiledTo(log);
  let tiles = 0;
  for (const place of tilesAbove(from, size)) {
    if (tiles >= tilesMax) return { next: place, looked: { ...lookedAtNothing, tiles }, differences };
    signal?.throwIfAborted();
    tiles += 1;
    const hashes = await hashesAbove(log, place);
    const fault = hashes && (await faultOfTile(log, place, hashes, tiled));
    if (fault) differences.push(fault);
  }
  differences.push(...(await surplus(log, size)));
  return { next: undefined, looked: { ...lookedAtNothing, tiles }, differences };
};

/**
 * What a tile above the leaves must hold: the roots of those below it. Undefined where one of them is not whole or does
 * not hash to the root that it says: that is its own fault, and named there.
 */
export const hashesAbove = async (log: VerifiedLog, { level, index }: TilePlace): Promise<Buffer | undefined> => {
  const roots = Buffer.alloc(tileWidth * hashBytes);
  for (let position = 0; position < tileWidth; position += 1) {
    const _id = `${level - 1}/${index * tileWidth + position}`;
    const below = await tilesOf(log.client, log.instance).findOne({ _id });
    if (!below || !isWhole(below)) return undefined;
    const root = perfectRoot(below.hashes.buffer);
    if (!root.equals(bytesOf(below.root))) return undefined;
    roots.set(root, position * hashBytes);
  }
  return roots;
};

export const isWhole = ({ hashes }: TileDocument): boolean => bytesOf(hashes).length === tileWidth * hashBytes;

export const bytesOf = (value: unknown): Uint8Array => (value instanceof Binary ? value.buffer : Buffer.alloc(0));

/** `tiled`: up to which entry tiles must be there. */
export const faultOfTile = async (
  log: VerifiedLog,
  { level, index }: TilePlace,
  wanted: Buffer,
  tiled: number,
): Promise<Difference | undefined> => {
  const tile = await tilesOf(log.client, log.instance).findOne({ _id: `${level}/${index}` });
  const differs = (kind: Difference['kind'], first: number, last: number): Difference => ({
    kind,
    store: 'tiles',
    index: first,
    ...(last > first && { lastIndex: last }),
    place: `tiles/${level}/${index}`,
  });
  const all = [index * span(level), (index + 1) * span(level) - 1] as const;
  if (!tile) return all[1] < tiled ? differs('tile-missing', ...all) : undefined;
  if (!isWhole(tile)) return differs('tile-malformed', ...all);
  const below = span(level) / tileWidth;
  for (let position = 0; position < tileWidth; position += 1) {
    const at = position * hashBytes;
    if (wanted.compare(tile.hashes.buffer, at, at + hashBytes, at, at + hashBytes) === 0) continue;
    const first = all[0] + position * below;
    return differs('tile-altered', first, first + below - 1);
  }
  return perfectRoot(wanted).equals(bytesOf(tile.root)) ? undefined : differs('tile-altered', ...all);
};

/** Documents that are no full tile of the tree. */
const surplus = async (log: VerifiedLog, size: number): Promise<Difference[]> =>
  (await surplusTiles(log, size)).map((id) => ({ kind: 'tile-surplus', store: 'tiles', place: `tiles/${id}` }));

/** Ids of documents that are no full tile of the tree; some of them, where there are many. */
export const surplusTiles = async (log: VerifiedLog, size: number): Promise<string[]> => {
  const found: string[] = [];
  // Tiles of entries that were appended meanwhile are no surplus.
  const end = Math.max(size, await tiledTo(log));
  for await (const { _id } of tilesOf(log.client, log.instance).find({}, { projection: { _id: 1 } }))
    if (!isTileOf(_id, end) && found.push(_id) >= surplusNamedMax) break;
  return found;
};

const isTileOf = (id: unknown, size: number): boolean => {
  const match = typeof id === 'string' ? /^(0|[1-9]\d?)\/(0|[1-9]\d{0,15})$/.exec(id) : null;
  return match !== null && (Number(match[2]) + 1) * span(Number(match[1])) <= size;
};
