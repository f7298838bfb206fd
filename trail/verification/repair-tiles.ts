/** Makes the full tiles what the record's leaf hashes give, where they are not, and removes those of no tree. */
import { Binary } from 'mongodb';
import { perfectRoot } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import { majority } from '../database.ts';
import { tilesOf } from '../tile-reader.ts';
import type { Mending } from './repair-rows.ts';
import { surplusTiles, tileHashes, wholeTile, type TileCursor } from './tiles-check.ts';

export const repairTiles = async (
  { log, projector, signal }: Mending,
  { from, size, tilesPerStep }: { from: TileCursor; size: number; tilesPerStep: number },
): Promise<{ next: TileCursor | undefined; mended: number }> => {
  const tiles = tilesOf(projector, log.instance);
  let mended = 0;
  let looked = 0;
  let { level, index } = from;
  for (let width = tileWidth ** (level + 1); width <= size; level += 1, width *= tileWidth, index = 0)
    for (; (index + 1) * width <= size; index += 1) {
      if (looked >= tilesPerStep) return { next: { level, index }, mended };
      looked += 1;
      signal.throwIfAborted();
      // Lowest level first, so that what is below is mended by now.
      const hashes = await tileHashes(log, level, index);
      if (!hashes) continue;
      const root = perfectRoot(hashes);
      const stored = await tilesOf(log.client, log.instance).findOne({ _id: `${level}/${index}` });
      if (stored && wholeTile(stored) && hashes.equals(stored.hashes.buffer) && root.equals(rootOf(stored.root)))
        continue;
      const replacement = { hashes: new Binary(hashes), root: new Binary(root) };
      await tiles.replaceOne({ _id: `${level}/${index}` }, replacement, { upsert: true, ...majority });
      mended += 1;
    }
  for (const _id of await surplusTiles(log, size)) mended += (await tiles.deleteOne({ _id }, majority)).deletedCount;
  return { next: undefined, mended };
};

const rootOf = (root: unknown): Uint8Array => (root instanceof Binary ? root.buffer : Buffer.alloc(0));
