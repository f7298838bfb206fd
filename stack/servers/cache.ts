/**
 * Our cache of server programs: `<cache>/bin/<program>`. A program appears there by one rename, after it was fetched
 * into a temporary folder of the same file system and has answered `--version`; so whatever is there is whole, even if
 * the machine lost power during a download or two processes fetched at once.
 */
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { checkProgram, type ProgramCheck, type ProgramName } from './program.ts';

/** `$TRAILKEEPER_CACHE`, else `~/.cache/trailkeeper`. */
export const cacheFolder = (env: NodeJS.ProcessEnv): string =>
  env['TRAILKEEPER_CACHE'] || join(homedir(), '.cache', 'trailkeeper');

export const cachedProgramPath = (cache: string, name: ProgramName): string => join(cache, 'bin', name);

const workPrefix = 'fetch-';
/** No fetch takes this long: a folder this old belongs to a process that was killed. */
const abandonedAfterMs = 6 * 3_600_000;

/** Gives `work` an empty folder and removes it afterwards, with what earlier, killed fetches left. */
export async function inWorkFolder<T>(cache: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(join(cache, 'bin'), { recursive: true });
  await removeAbandoned(cache);
  const folder = await mkdtemp(join(cache, workPrefix));
  try {
    return await work(folder);
  } finally {
    await removeFolder(folder);
  }
}

/** Checks the fetched file, then puts it in place. What does not run is not put in place. */
export async function installProgram(cache: string, name: ProgramName, fetched: string): Promise<ProgramCheck> {
  await chmod(fetched, 0o755);
  const check = await checkProgram(name, fetched);
  if (!check.fit) return check;
  const path = cachedProgramPath(cache, name);
  await rename(fetched, path);
  return { fit: true, program: { ...check.program, path } };
}

async function removeAbandoned(cache: string): Promise<void> {
  for (const entry of await readdir(cache)) {
    if (!entry.startsWith(workPrefix)) continue;
    const path = join(cache, entry);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > abandonedAfterMs) await removeFolder(path);
  }
}

/** Go writes its module folders read-only, which a plain removal stumbles over. */
async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
}

/** Bytes of all files below a folder: the progress of a download whose tool shows none. */
export async function folderSizeBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          (file) => file.size,
          () => 0,
        ),
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
