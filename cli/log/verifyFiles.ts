/** Verifies a log from its files with domain/verify: nothing that the files say is believed without the key. */
import { availableParallelism } from 'node:os';
import { parseVkey, type NoteKey } from '../../domain/tree/note.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { bundlesForSize, tilePath, tileWidth, type EntriesTile } from '../../domain/tree/tiles.ts';
import type { VerificationReport } from '../../domain/verify/report.ts';
import { threadsFor, verifyLog, type EntryChunk } from '../../domain/verify/verifyLog.ts';
import { CliError, exitCodes } from '../exit.ts';
import { openIdFile } from './idFile.ts';
import type { LogFiles } from './source.ts';

export interface VerifyFilesOptions {
  readonly key: NoteKey;
  readonly olderCheckpoints: readonly Uint8Array[];
  /** Check each entry against the whole schema: slower. */
  readonly schema: boolean;
  /** Told now and then how many entries were read. */
  readonly progress: (entries: number) => void;
}

/** Bundles that are fetched ahead of the one that is looked at. */
const ahead = 8;
const progressEvery = 50_000;

export const keyOf = (vkey: string): NoteKey => {
  try {
    return parseVkey(vkey.trim());
  } catch (error) {
    if (error instanceof TreeError) throw new CliError(exitCodes.usage, `the key can't be used: ${error.message}`);
    throw error;
  }
};

/** Throws CliError `unavailable` or `refused` where the files can't be had, and `usage` where there is no log. */
export const verifyFiles = async (files: LogFiles, options: VerifyFilesOptions): Promise<VerificationReport> => {
  const checkpoint = await files.read('checkpoint');
  if (!checkpoint) throw new CliError(exitCodes.refused, `${files.place} has no checkpoint: there is no log`);
  const { key, schema, olderCheckpoints, progress } = options;
  const idStore = openIdFile();
  try {
    return await verifyLog(
      {
        checkpoint,
        entries: ({ size }) => readBundles(files, size, progress),
        tiles: (tile) => files.read(tilePath(tile)),
        olderCheckpoints,
      },
      { keys: [key], origin: key.name, schema, idStore, threads: threadsFor(availableParallelism()) },
    );
  } finally {
    idStore.close();
  }
};

async function* readBundles(
  files: LogFiles,
  size: number,
  progress: (entries: number) => void,
): AsyncGenerator<EntryChunk> {
  const waiting: Promise<EntryChunk | undefined>[] = [];
  const bundles = bundlesForSize(size);
  const fetchNext = () => {
    const { value, done } = bundles.next();
    if (done) return;
    const chunk = readBundle(files, value);
    // Awaited in its turn; until then a failure must not end the process.
    chunk.catch(() => undefined);
    waiting.push(chunk);
  };
  for (let i = 0; i < ahead; i += 1) fetchNext();
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const chunk = await next;
    fetchNext();
    // What is missing is left out, and the verification names it.
    if (!chunk) continue;
    yield chunk;
    const read = chunk.firstIndex + chunk.count;
    if (Math.floor(read / progressEvery) > Math.floor(chunk.firstIndex / progressEvery)) progress(read);
  }
}

/** Where a partial bundle is gone, the full one begins with the same entries: of these only so many are asked for. */
const readBundle = async (files: LogFiles, tile: EntriesTile): Promise<EntryChunk | undefined> => {
  const bundle = await files.read(tilePath(tile));
  return bundle && { firstIndex: tile.index * tileWidth, count: tile.width, bundle };
};
