/** Makes the tiles above the leaves what those below them give, and removes those of no tree. */
import { majority } from '../database.ts';
import { tilesOf } from '../tile-reader.ts';
import { mendTile, type Mending } from './repair-record-projections.ts';
import { hashesAbove, surplusTiles, tiledTo, tilesAbove, type TilePlace } from './tiles-check.ts';

export const repairTiles = async (
  mending: Mending,
  { from, size, tilesPerStep }: { from: TilePlace; size: number; tilesPerStep: number },
): Promise<{ next: TilePlace | undefined; mended: number }> => {
  const { log, projector, signal } = mending;
  const tiled = await tiledTo(log);
  let mended = 0;
  let looked = 0;
  for (const place of tilesAbove(from, Math.min(size, tiled))) {
    if (looked >= tilesPerStep) return { next: place, mended };
    looked += 1;
    signal.throwIfAborted();
    const hashes = await hashesAbove(log, place);
    if (hashes) mended += await mendTile(mending, place, hashes);
  }
  const tiles = tilesOf(projector, log.instance);
  for (const _id of await surplusTiles(log, size)) mended += (await tiles.deleteOne({ _id }, majority)).deletedCount;
  return { next: undefined, mended };
};
