/** Writes the full tiles of the tree as they fill up, level by level. */
import { Binary, type MongoClient } from 'mongodb';
import { hashBytes, perfectRoot } from '../../domain/tree/hash.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import { TileReader, tilesOf, type TileDocument } from '../tile-reader.ts';
import { insertMissing } from '../insert-missing.ts';
import type { Tail } from './tail.ts';

export const createTileTail = (client: MongoClient): Tail => ({
  name: 'tiles',
  client,
  async apply({ instance, first, entries }) {
    const reader = new TileReader(instance, client);
    const size = first + entries.length;
    // Full tiles that end within the batch, lowest level first: a level is made of the one below.
    for (let level = 0, width = tileWidth; width <= size; level += 1, width *= tileWidth) {
      const tiles: TileDocument[] = [];
      for (let index = Math.floor(first / width); (index + 1) * width <= size; index += 1) {
        const hashes =
          level === 0 ? await leaves(reader, first, entries, index) : await reader.hashes(level, index, tileWidth);
        tiles.push({
          _id: `${level}/${index}`,
          hashes: new Binary(hashes),
          root: new Binary(perfectRoot(hashes)),
        });
      }
      await insertMissing(tilesOf(client, instance), tiles);
    }
  },
});

const leaves = async (
  reader: TileReader,
  first: number,
  entries: readonly { readonly leaf: Uint8Array }[],
  index: number,
): Promise<Buffer> => {
  const start = index * tileWidth;
  if (start < first) return reader.hashes(0, index, tileWidth);
  const hashes = Buffer.concat(entries.slice(start - first, start - first + tileWidth).map(({ leaf }) => leaf));
  if (hashes.length !== tileWidth * hashBytes) throw new RangeError(`tile 0/${index} is not full`);
  return hashes;
};
