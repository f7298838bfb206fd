/**
 * Makes the rows of the index, and the tiles of the leaves, what the record says, where they are not. Only what a signature
 * vouches for is written: where the record itself was tampered with, its copies are the evidence, and are left as they
 * are. A row is written over in one step, so no query and no writer that looks for a duplicate finds less than before.
 */
import { Binary, MongoServerError, type MongoClient } from 'mongodb';
import { perfectRoot } from '../../domain/tree/hash.ts';
import { sameRow } from '../../domain/verification/rows.ts';
import type { JudgedEntry, Standing } from '../../domain/verification/segment.ts';
import { majority } from '../database.ts';
import { indexOf, type IndexRow } from '../projection.ts';
import { tilesOf } from '../tile-reader.ts';
import { judgedSegments, type JudgedSegment } from './judged-segments.ts';
import { LeafTiles, type LeafTile } from './leaf-tiles.ts';
import { rowsOutside } from './outside-log.ts';
import { expectedRow, indexedTo, plain } from './rows-check.ts';
import { bytesOf, isWhole, tiledTo, type TilePlace } from './tiles-check.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface Mending {
  readonly log: VerifiedLog;
  /** Projector duty. */
  readonly projector: MongoClient;
  readonly signal: AbortSignal;
}

export interface MendedStretch {
  readonly standing: Standing;
  readonly rows: number;
  readonly tiles: number;
}

/** Goes on from the standing over at least `entriesMax` entries, to the end of what a checkpoint was signed over. */
export const repairStretch = async (
  mending: Mending,
  { standing: from, size, entriesMax }: { standing: Standing; size: number; entriesMax: number },
): Promise<MendedStretch> => {
  const { log, signal } = mending;
  const indexed = await indexedTo(log);
  const tiled = await tiledTo(log);
  const leaves = await LeafTiles.at(log, from.size);
  let standing = from;
  let [rows, tiles, entries] = [0, 0, 0];
  // Held back until a signature vouches for all of them.
  let stretch: JudgedSegment[] = [];
  let stretchTiles: LeafTile[] = [];
  for await (const found of judgedSegments(log, { standing, to: size, signal })) {
    ({ standing } = found);
    if (found.kind === 'odd') {
      stretch = [];
      stretchTiles = [];
      continue;
    }
    const { segment, judgement } = found;
    entries += segment.n;
    if (isSound(found)) stretch.push(found);
    else stretch = [];
    for (const tile of leaves.add(segment._id, segment.n, isSound(found) ? judgement.leaves : undefined))
      stretchTiles.push(tile);
    if (!judgement.signed) continue;
    for (const { segment: own, judgement: judged, rows: stored } of stretch)
      rows += await mendRows(mending, own._id, judged.entries, { stored, indexed });
    for (const { index, hashes } of stretchTiles)
      if ((index + 1) * 256 <= tiled) tiles += await mendTile(mending, { level: 0, index }, hashes);
    stretch = [];
    stretchTiles = [];
    if (entries >= entriesMax && standing.size < size) break;
  }
  return { standing, rows, tiles };
};

/** Whether nothing is wrong with the entries of a segment and with what they hash to. */
const isSound = ({ judgement }: JudgedSegment): boolean =>
  judgement.leaves !== undefined && !judgement.differences.some(({ kind }) => ofEntries.has(kind));

const ofEntries: ReadonlySet<string> = new Set([
  'entry-altered',
  'wrong-order',
  'unparseable-entry',
  'foreign-entry',
  'inconsistent-with-older',
]);

const mendRows = async (
  mending: Mending,
  segment: number,
  entries: readonly JudgedEntry[],
  { stored, indexed }: { stored: JudgedSegment['rows']; indexed: number },
): Promise<number> => {
  const present = new Map(stored.map((row) => [row['_id'] as unknown, plain(row)]));
  let mended = 0;
  for (const { _id } of stored) if (!Number.isSafeInteger(_id)) mended += await removeRow(mending, _id as number);
  for (const judged of entries) {
    const row = expectedRow(segment, judged);
    const found = present.get(row._id);
    if (row._id >= indexed || (found && sameRow(plain(row), found))) continue;
    await writeRow(mending, row);
    mended += 1;
  }
  return mended;
};

/** Writes a row over what stands there. A forged row that holds its id elsewhere is in the way, and goes. */
const writeRow = async ({ log, projector }: Mending, row: IndexRow): Promise<void> => {
  const index = indexOf(projector, log.instance);
  const { _id, ...rest } = row;
  for (;;) {
    try {
      await index.replaceOne({ _id }, rest, { upsert: true, ...majority });
      return;
    } catch (error) {
      if (!(error instanceof MongoServerError) || error.code !== 11_000) throw error;
      // The log has each id once: whatever else has it is not what the record says.
      await index.deleteMany({ id: row.id, _id: { $ne: _id } }, majority);
    }
  }
};

const removeRow = async ({ log, projector }: Mending, _id: number): Promise<number> =>
  (await indexOf(projector, log.instance).deleteOne({ _id }, majority)).deletedCount;

/** Removes the rows of entries that there are not. */
export const removeForgedRows = async (mending: Mending, size: number): Promise<number> => {
  let removed = 0;
  for (;;) {
    const forged = await rowsOutside(mending.log, size);
    if (forged.length === 0) return removed;
    mending.signal.throwIfAborted();
    for (const id of forged) removed += await removeRow(mending, id as number);
  }
};

/** Writes a tile where it is not what it must be; answers with how many were written. */
export const mendTile = async (
  { log, projector }: Mending,
  { level, index }: TilePlace,
  hashes: Buffer,
): Promise<number> => {
  const _id = `${level}/${index}`;
  const root = perfectRoot(hashes);
  const stored = await tilesOf(log.client, log.instance).findOne({ _id });
  if (stored && isWhole(stored) && hashes.equals(stored.hashes.buffer) && root.equals(bytesOf(stored.root))) return 0;
  const replacement = { hashes: new Binary(hashes), root: new Binary(root) };
  await tilesOf(projector, log.instance).replaceOne({ _id }, replacement, { upsert: true, ...majority });
  return 1;
};
