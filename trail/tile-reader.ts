/**
 * Tiles and entry bundles of one log, for clients of C2SP tlog-tiles and for our own proofs. Full tiles are a
 * projection; what is not projected yet is computed from the leaf hashes in the segments, so the answer never depends
 * on how far the projection is.
 */
import type { Binary, Collection, MongoClient } from 'mongodb';
import { encodeBundle, readBundle } from '../domain/tree/bundle.ts';
import { hashBytes, perfectRoot } from '../domain/tree/hash.ts';
import type { SubtreeReader } from '../domain/tree/proof.ts';
import { placeOfSubtree, subtreeInTile, tileWidth } from '../domain/tree/tiles.ts';
import type { InstanceId } from '../schema/ids.ts';
import { instanceDatabase, majority } from './database.ts';
import { TrailError } from './errors.ts';
import { segmentEntries, segmentsOf, type SegmentDocument } from './segments.ts';

/** A full tile of hashes. */
export interface TileDocument {
  /** `<level>/<index>` */
  _id: string;
  /** 256 hashes of 32 bytes. */
  hashes: Binary;
  /** Root of the tile, which is one hash of the tile above. */
  root: Binary;
}

export const tilesOf = (client: MongoClient, instance: InstanceId): Collection<TileDocument> =>
  client.db(instanceDatabase(instance)).collection<TileDocument>('tiles', majority);

export class TileReader {
  readonly #segments: Collection<SegmentDocument>;
  readonly #tiles: Collection<TileDocument>;

  constructor(instance: InstanceId, client: MongoClient) {
    this.#segments = segmentsOf(client, instance);
    this.#tiles = tilesOf(client, instance);
  }

  /** The first `width` hashes of a tile. The log must hold all that they stand for. */
  async hashes(level: number, index: number, width: number): Promise<Buffer> {
    const full = await this.#tiles.findOne({ _id: `${level}/${index}` });
    if (full) return Buffer.from(full.hashes.buffer.subarray(0, width * hashBytes));
    if (level === 0) return this.#leafHashes(index * tileWidth, width);
    return this.#rootsOfFullTiles(level - 1, index * tileWidth, width);
  }

  /** Entries `index * 256` and on, in entry bundle form. */
  async bundle(index: number, width: number): Promise<Buffer> {
    return encodeBundle(await this.entries(index * tileWidth, width));
  }

  /** Bytes of the entries `first` to `first + count - 1`. Throws LOG_INCONSISTENT where the record does not hold them. */
  async entries(first: number, count: number): Promise<Buffer[]> {
    const found: Buffer[] = [];
    for await (const segment of this.#overlapping(first, count, { leaves: 0 })) {
      const entries = segmentEntries(segment);
      found.push(...entries.slice(Math.max(0, first - segment._id), first + count - segment._id));
    }
    if (found.length !== count) throw missing(first, count);
    return found;
  }

  /** As `entries`, but as many as the record holds from `first` on, in whatever state it is: what verification reads. */
  async entriesAsFarAs(first: number, count: number): Promise<Buffer[]> {
    const found: Buffer[] = [];
    for await (const segment of this.#overlapping(first, count, { leaves: 0 })) {
      const skipped = Math.max(0, first - segment._id);
      // The first one may begin before what is asked for; every other one follows on what was found.
      if (segment._id + skipped !== first + found.length) break;
      const { entries } = readBundle(segment.entries.buffer);
      found.push(...entries.slice(skipped, Math.min(segment.n, first + count - segment._id)));
      if (entries.length !== segment.n) break;
    }
    return found;
  }

  /** Reads subtrees for proofs, each tile once. */
  subtrees(): SubtreeReader {
    const cache = new Map<string, Promise<Buffer>>();
    return async (level, index) => {
      const place = placeOfSubtree(level, index);
      const width = place.offset + place.count;
      const key = `${place.tileLevel}/${place.tileIndex}/${width}`;
      const tile = cache.get(key) ?? this.hashes(place.tileLevel, place.tileIndex, width);
      cache.set(key, tile);
      return subtreeInTile(await tile, place);
    };
  }

  async #leafHashes(first: number, count: number): Promise<Buffer> {
    const found: Buffer[] = [];
    for await (const segment of this.#overlapping(first, count, { entries: 0 })) {
      const from = Math.max(0, first - segment._id) * hashBytes;
      found.push(Buffer.from(segment.leaves.buffer.subarray(from, (first + count - segment._id) * hashBytes)));
    }
    const hashes = Buffer.concat(found);
    if (hashes.length !== count * hashBytes) throw missing(first, count);
    return hashes;
  }

  async #rootsOfFullTiles(level: number, first: number, count: number): Promise<Buffer> {
    const ids = Array.from({ length: count }, (_, position) => `${level}/${first + position}`);
    const roots = new Map<string, Uint8Array>();
    for await (const tile of this.#tiles.find({ _id: { $in: ids } }, { projection: { root: 1 } }))
      roots.set(tile._id, tile.root.buffer);
    const all: Uint8Array[] = [];
    for (const [position, id] of ids.entries())
      all.push(roots.get(id) ?? perfectRoot(await this.hashes(level, first + position, tileWidth)));
    return Buffer.concat(all);
  }

  /** Segments that hold any of these entries, in order. */
  async *#overlapping(first: number, count: number, projection: Record<string, 0>): AsyncGenerator<SegmentDocument> {
    const start = await this.#segments
      .find({ _id: { $lte: first } }, { projection: { _id: 1 } })
      .sort({ _id: -1 })
      .limit(1)
      .next();
    if (!start) return;
    let next = start._id;
    const segments = this.#segments.find({ _id: { $gte: start._id, $lt: first + count } }, { projection });
    for await (const segment of segments.sort({ _id: 1 })) {
      // A stray segment is not part of the log.
      if (segment._id !== next) continue;
      next = segment._id + segment.n;
      yield segment;
    }
  }
}

const missing = (first: number, count: number): TrailError =>
  new TrailError('LOG_INCONSISTENT', `the record does not hold all of the entries ${first} to ${first + count - 1}`);
