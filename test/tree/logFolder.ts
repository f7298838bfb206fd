/** A log written to a folder at the paths of tlog-tiles, and read back from it. For tests: the log itself is in trail/. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodeBundle } from '../../domain/tree/bundle.ts';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { appendLeaves, emptyEdge } from '../../domain/tree/edge.ts';
import { leafHashes } from '../../domain/tree/hash.ts';
import type { NoteSigner } from '../../domain/tree/note.ts';
import { bundlesForSize, tilePath, tilesForSize } from '../../domain/tree/tiles.ts';
import type { EntryChunk, LogSources } from '../../domain/verify/verifyLog.ts';
import { StoredTree } from './storedTree.ts';

const write = (folder: string, path: string, bytes: Uint8Array): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), bytes);
};

const read = (folder: string, path: string): Buffer | undefined => {
  try {
    return readFileSync(join(folder, path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

/** Writes tiles, bundles and the signed checkpoint of a log with these entries. Returns the checkpoint. */
export function writeLogFolder(folder: string, entries: readonly Buffer[], signer: NoteSigner): Buffer {
  const size = entries.length;
  const tree = new StoredTree(entries);
  for (const tile of tilesForSize(size)) write(folder, tilePath(tile), tree.tile(tile));
  for (const bundle of bundlesForSize(size)) {
    const start = bundle.index * 256;
    write(folder, tilePath(bundle), encodeBundle(entries.slice(start, start + bundle.width)));
  }
  const { root } = appendLeaves(emptyEdge, 0, leafHashes(entries));
  const checkpoint = signCheckpoint({ origin: signer.name, size, root }, [signer]);
  write(folder, 'checkpoint', checkpoint);
  return checkpoint;
}

/** Replaces a file of the log by what `change` makes of it. */
export function changeFile(folder: string, path: string, change: (bytes: Buffer) => Buffer): void {
  writeFileSync(join(folder, path), change(readFileSync(join(folder, path))));
}

async function* chunksOf(folder: string, size: number): AsyncGenerator<EntryChunk> {
  for (const tile of bundlesForSize(size)) {
    const bundle = read(folder, tilePath(tile));
    if (bundle) yield { firstIndex: tile.index * 256, count: tile.width, bundle };
  }
}

/** The log in the folder, as verifyLog takes it. */
export const folderSources = (folder: string): LogSources & Required<Pick<LogSources, 'tiles'>> => ({
  checkpoint: readFileSync(join(folder, 'checkpoint')),
  entries: ({ size }) => chunksOf(folder, size),
  tiles: async (tile) => read(folder, tilePath(tile)),
});
