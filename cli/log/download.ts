/** Copies a log into a folder, file by file as it is served, so that any tool for tlog-tiles can read it there. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseNote } from '../../domain/tree/note.ts';
import { bundlesForSize, tilePath, tilesForSize, tileWidth, type Tile } from '../../domain/tree/tiles.ts';
import { CliError, exitCodes } from '../exit.ts';
import type { LogFiles } from './source.ts';

const inParallel = 8;

export interface Downloaded {
  readonly size: number;
  readonly files: number;
}

/**
 * Full tiles that are there already are kept: they never change. The checkpoint is written last, so that a folder with a
 * checkpoint has all that belongs to it. Nothing is checked here: `verify` does that.
 */
export const download = async (
  files: LogFiles,
  folder: string,
  progress: (done: number, of: number) => void,
): Promise<Downloaded> => {
  const checkpoint = await files.read('checkpoint');
  if (!checkpoint) throw new CliError(exitCodes.refused, `${files.place} has no checkpoint: there is no log`);
  const { size } = parseCheckpoint(parseNote(checkpoint).text);
  const wanted: Tile[] = [...tilesForSize(size), ...bundlesForSize(size)];
  const missing = wanted.filter((tile) => tile.width < tileWidth || !existsSync(join(folder, tilePath(tile))));
  let done = 0;
  const queue = missing.values();
  const work = async () => {
    for (const tile of queue) {
      const path = tilePath(tile);
      const bytes = await files.read(path);
      if (!bytes) throw new CliError(exitCodes.refused, `${files.place}/${path} is missing; nothing was finished`);
      await write(folder, path, bytes);
      done += 1;
      if (done % 500 === 0) progress(done, missing.length);
    }
  };
  await Promise.all(Array.from({ length: inParallel }, work));
  await write(folder, 'checkpoint', checkpoint);
  return { size, files: done + 1 };
};

/** Renamed into place: a file is there whole or not at all. */
const write = async (folder: string, path: string, bytes: Uint8Array): Promise<void> => {
  const target = join(folder, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(`${target}.new`, bytes);
  await rename(`${target}.new`, target);
};
