/**
 * Where an archive ends: the newest checkpoint in it, and what is needed to go on from there. All of it is taken from the
 * archive itself, and must hash to the root that the checkpoint signs.
 */
import { openCheckpoint, type OpenedCheckpoint } from '../../domain/tree/checkpoint.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { parseVkey, type NoteKey } from '../../domain/tree/note.ts';
import { decodeBundle, tilePath, tileWidth, type Tile } from '../../domain/tree/tiles.ts';
import { emptyHead } from '../log-end.ts';
import type { LogHead } from '../segments.ts';
import { ArchiveError, altered } from './errors.ts';
import { decodeManifest, sha256Of, type Manifest, type ManifestObject } from './manifest.ts';
import { checkpointFolder, checkpointName, manifestName, sizeOfCheckpointName } from './names.ts';
import type { ArchiveStore } from './store.ts';
import { TileRows, hashesOf, unfinishedTiles } from './tile-rows.ts';

export interface ArchivedHead {
  /** `lastSegment` is not known from the archive: -1. */
  readonly log: LogHead;
  readonly rows: TileRows;
  /** Entries of the unfinished bundle. */
  readonly bundle: readonly Buffer[];
  /** Of the last range; undefined for an empty archive. */
  readonly last: { readonly manifest: Manifest; readonly sha256: string } | undefined;
}

export const emptyArchive: ArchivedHead = { log: emptyHead, rows: TileRows.empty(), bundle: [], last: undefined };

export interface ArchivedCheckpoint extends OpenedCheckpoint {
  readonly note: Buffer;
}

/**
 * Who may have signed what. `trusted`: keys that are known from elsewhere. `its-own`: the archive's own word is taken, and
 * said to be.
 */
export type KeyTrust = { readonly kind: 'trusted'; readonly keys: readonly NoteKey[] } | { readonly kind: 'its-own' };

const keysFor = (trust: KeyTrust, { vkey, origin }: Manifest): readonly NoteKey[] =>
  trust.kind === 'trusted' ? trust.keys.filter(({ name }) => name === origin) : [parseVkey(vkey)];

/** The manifest of the range that ends at `size`, undefined where there is none. */
export const readManifest = async (
  store: ArchiveStore,
  size: number,
): Promise<{ manifest: Manifest; sha256: string } | undefined> => {
  const name = manifestName(size);
  const bytes = await store.get(name);
  if (!bytes) return undefined;
  const manifest = decodeManifest(name, bytes);
  if (manifest.size !== size) throw altered(name, 'it is of another range');
  return { manifest, sha256: sha256Of(bytes) };
};

/** The archived checkpoint of this size, its signature checked. Undefined where there is none. */
export const readCheckpoint = async (
  store: ArchiveStore,
  manifest: Manifest,
  trust: KeyTrust,
): Promise<ArchivedCheckpoint | undefined> => {
  const name = checkpointName(manifest.size);
  const note = await store.get(name);
  if (!note) return undefined;
  let opened: OpenedCheckpoint;
  try {
    opened = openCheckpoint(note, keysFor(trust, manifest), manifest.origin);
  } catch (cause) {
    if (cause instanceof TreeError)
      throw altered(name, `it is not signed by a key of the log (${cause.message})`, cause);
    throw cause;
  }
  if (opened.size !== manifest.size) throw altered(name, 'it is of another size');
  return { ...opened, note };
};

/** Sizes that the archive has a checkpoint of, the largest first; not yet looked into. */
export async function* archivedSizes(store: ArchiveStore): AsyncGenerator<number> {
  const last = await store.last(checkpointFolder);
  if (last === undefined) return;
  const first = sizeOfCheckpointName(last);
  if (first !== undefined) yield first;
  // Only where that one was not ours is the whole list looked at.
  const others: number[] = [];
  for await (const { name } of store.list(checkpointFolder)) {
    const size = sizeOfCheckpointName(name);
    if (size !== undefined && size !== first) others.push(size);
  }
  yield* others.toReversed();
}

/** The newest checkpoint of the archive whose signature holds, with its range; undefined where there is none. */
export const newestCheckpoint = async (
  store: ArchiveStore,
  trust: KeyTrust,
): Promise<{ manifest: Manifest; sha256: string; checkpoint: ArchivedCheckpoint } | undefined> => {
  let refused: unknown;
  for await (const size of archivedSizes(store)) {
    try {
      const range = await readManifest(store, size);
      const checkpoint = range && (await readCheckpoint(store, range.manifest, trust));
      if (range && checkpoint) return { ...range, checkpoint };
      refused ??= altered(manifestName(size), 'it is missing, though there is a checkpoint of its size');
    } catch (error) {
      if (!(error instanceof ArchiveError) || error.code !== 'ARCHIVE_ALTERED') throw error;
      refused ??= error;
    }
  }
  // Not one of them holds: that is no empty archive.
  if (refused !== undefined) throw refused;
  return undefined;
};

/** What is needed to go on after the range that ends at `size`. Throws ARCHIVE_ALTERED or ARCHIVE_DIVERGED. */
export const loadHead = async (store: ArchiveStore, size: number, trust: KeyTrust): Promise<ArchivedHead> => {
  if (size === 0) return emptyArchive;
  const range = await readManifest(store, size);
  const checkpoint = range && (await readCheckpoint(store, range.manifest, trust));
  if (!range || !checkpoint)
    throw new ArchiveError(
      'ARCHIVE_DIVERGED',
      `${store.place} should hold a checkpoint of size ${size}, and does not: it is another archive, or was emptied`,
    );
  const rows: Buffer[][] = [];
  for (const tile of unfinishedTiles(size)) rows[tile.level] = hashesOf(await readTile(store, tile));
  const tree = new TileRows(
    size,
    Array.from(rows, (row) => row ?? []),
  );
  const { edge, root } = tree.tree();
  if (!root.equals(checkpoint.root))
    throw altered(checkpointName(size), 'the unfinished tiles do not give the root that it signs');
  const width = size % tileWidth;
  const bundleTile: Tile = { kind: 'entries', index: Math.floor(size / tileWidth), width };
  const bundle = width === 0 ? [] : decodeBundle(await readTile(store, bundleTile), width);
  const { control } = range.manifest;
  return {
    log: { edge, size, root, controlEpoch: control, lastSegment: -1 },
    rows: tree,
    bundle: bundle.map((entry) => Buffer.from(entry)),
    last: range,
  };
};

export const readTile = async (store: ArchiveStore, tile: Tile): Promise<Buffer> => {
  const name = tilePath(tile);
  const bytes = await store.get(name);
  if (!bytes) throw altered(name, 'it is missing');
  if (tile.kind === 'hashes' && bytes.length !== tile.width * 32)
    throw altered(name, 'it has not the size of its width');
  return bytes;
};

/** The bytes that a manifest names. Throws ARCHIVE_ALTERED where they are others, or gone. */
export const readObject = async (store: ArchiveStore, { name, version, sha256 }: ManifestObject): Promise<Buffer> => {
  const bytes = await store.get(name, version);
  if (!bytes) throw altered(name, 'it is missing');
  if (sha256Of(bytes) !== sha256) throw altered(name, 'its bytes are not those that were written');
  return bytes;
};
