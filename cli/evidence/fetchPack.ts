/**
 * Fetches an evidence pack into a file. Under its name the file is there whole or not at all: it is written beside it, and
 * takes the name once it was seen to its end, and is on the disk. What a crash leaves is `<file>.part`, which the next
 * fetch begins anew.
 */
import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { answerError } from '../client.ts';
import { CliError, exitCodes } from '../exit.ts';
import { PackWatch } from './packWatch.ts';

export interface FetchPack {
  readonly url: URL;
  readonly token: string;
  readonly file: string;
  readonly signal: AbortSignal;
  /** Told now and then of how many entries have come. */
  readonly progress: (entries: number) => void;
}

export interface FetchedPack {
  readonly entries: number;
  readonly sizeBytes: number;
}

/** The connection broke: the same may succeed with another link. */
export class PackInterrupted extends Error {
  override readonly name = 'PackInterrupted';
}

/** Throws CliError with what the API refused, and PackInterrupted; neither leaves a file behind. */
export const fetchPack = async ({ url, token, file, signal, progress }: FetchPack): Promise<FetchedPack> => {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, redirect: 'error', signal }).catch(
    (cause: unknown) => {
      throw interrupted(signal, cause);
    },
  );
  if (!response.ok || !response.body) throw answerError(await response.text(), url.href, response.status);
  const part = `${file}.part`;
  const watch = new PackWatch(progress);
  try {
    // Content: for nobody but who fetched it.
    const target = createWriteStream(part, { flags: 'w', mode: 0o600, flush: true });
    await Promise.all([
      pipeline(Readable.fromWeb(response.body as never), (source: AsyncIterable<Buffer>) => watch.tap(source), target, {
        signal,
      }),
      watch.ended,
    ]).catch((cause: unknown) => {
      if (isOfDisk(cause)) throw new CliError(exitCodes.usage, `${part} can't be written (${cause.code})`);
      throw interrupted(signal, cause);
    });
    if (!watch.isWhole) throw new PackInterrupted('the archive ended before its manifest');
    await rename(part, file);
    await syncFolder(dirname(file));
    return { entries: watch.entries, sizeBytes: watch.sizeBytes };
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
};

const interrupted = (signal: AbortSignal, cause: unknown): Error =>
  signal.aborted
    ? new CliError(exitCodes.unavailable, 'interrupted; nothing was kept')
    : new PackInterrupted('the connection broke', { cause });

const diskCodes: ReadonlySet<unknown> = new Set(['ENOSPC', 'EACCES', 'ENOENT', 'EROFS', 'EISDIR', 'EDQUOT', 'EIO']);
const isOfDisk = (error: unknown): error is NodeJS.ErrnoException & { code: string } =>
  error instanceof Error && 'code' in error && diskCodes.has(error.code);

/** So that the name is on the disk, too. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};
