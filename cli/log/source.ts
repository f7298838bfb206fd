/** Where the files of a log (c2sp.org/tlog-tiles) come from: over HTTP under a token, or from a folder. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError, exitCodes } from '../exit.ts';

export interface LogFiles {
  /** Shown where something is wrong. */
  readonly place: string;
  /** Undefined for a file that is not there. Throws CliError where that can't be told. */
  read(path: string): Promise<Uint8Array | undefined>;
}

const attempts = 4;
const fetchMsMax = 60_000;

export const httpFiles = (prefix: string, token: string): LogFiles => {
  const base = prefix.replace(/\/+$/, '');
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    const response = await fetch(`${base}/${path}`, {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(fetchMsMax),
    });
    if (response.status === 404) return undefined;
    if (response.status === 401) throw new CliError(exitCodes.refused, `${base} does not know the token`);
    if (response.status === 403)
      throw new CliError(exitCodes.refused, `${base}: the role of the token may not read the log (operation readLog)`);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  };
  return {
    place: base,
    async read(path) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await read(path);
        } catch (error) {
          if (error instanceof CliError) throw error;
          if (attempt === attempts) throw new CliError(exitCodes.unavailable, `${base}/${path} can't be read now`);
          await delay(250 * 2 ** attempt);
        }
      }
    },
  };
};

export const folderFiles = (folder: string): LogFiles => ({
  place: folder,
  async read(path) {
    try {
      return await readFile(join(folder, path));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw new CliError(exitCodes.usage, `${join(folder, path)} can't be read`);
    }
  },
});
