/** Verifies a log from its files with domain/verify: nothing that the files say is believed without the key. */
import { availableParallelism } from 'node:os';
import { parseVkey, type NoteKey } from '../../domain/tree/note.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { bundlesForSize, tilePath, tileWidth, type EntriesTile } from '../../domain/tree/tiles.ts';
import type { VerificationReport } from '../../domain/verify/report.ts';
import type { TileReader } from '../../domain/verify/tileTree.ts';
import { threadsFor, verifyLog, type EntryChunk } from '../../domain/verify/verifyLog.ts';
import { CliError, exitCodes } from '../exit.ts';
import { openIdFile } from './idFile.ts';
import type { LogFiles } from './source.ts';

export interface VerifyFilesOptions {
  /** Of the log, one or more. */
  readonly keys: readonly [NoteKey, ...NoteKey[]];
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
  const report = await run(files, checkpoint, options, (tile) => files.read(tilePath(tile)));
  if (report.outcome === 'verified' || report.problem.kind !== 'tile-missing') return report;
  // A tile may be gone since the entries that it is made of are: those are then what is to be named.
  const ofEntries = await run(files, checkpoint, options);
  return ofEntries.outcome === 'refuted' && ofEntries.problem.kind === 'missing-entries' ? ofEntries : report;
};

const run = async (
  files: LogFiles,
  checkpoint: Uint8Array,
  { keys, schema, olderCheckpoints, progress }: VerifyFilesOptions,
  tiles?: TileReader,
): Promise<VerificationReport> => {
  const idStore = openIdFile();
  try {
    return await verifyLog(
      {
        checkpoint,
        entries: ({ size }) => readBundles(files, size, progress),
        ...(tiles && { tiles }),
        olderCheckpoints,
      },
      { keys, origin: keys[0].name, schema, idStore, threads: threadsFor(availableParallelism()) },
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

/** What is left of a bundle that is gone: a log still serves the entries before the first one that it lacks. */
const longestLeft = async (files: LogFiles, tile: EntriesTile): Promise<Uint8Array | undefined> => {
  let left: Uint8Array | undefined;
  let [held, gone] = [0, tile.width];
  while (gone - held > 1) {
    const width = (held + gone) >> 1;
    const bundle = await files.read(tilePath({ ...tile, width }));
    if (bundle) [left, held] = [bundle, width];
    else gone = width;
  }
  return left;
};

/** Where a partial bundle is gone, the full one begins with the same entries: of these only so many are asked for. */
const readBundle = async (files: LogFiles, tile: EntriesTile): Promise<EntryChunk | undefined> => {
  const bundle = (await files.read(tilePath(tile))) ?? (await longestLeft(files, tile));
  return bundle && { firstIndex: tile.index * tileWidth, count: tile.width, bundle };
};
