/** The folder of keys on this machine, as files. What is written is on disk before the call returns, mode 600. */
import { existsSync, statSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isKeyFile } from '../../domain/keys/backup.ts';
import { CliError, exitCodes } from '../exit.ts';

export const keysFolder = (flag: string | undefined, env: NodeJS.ProcessEnv, cwd: string): string => {
  const data = env['TRAILKEEPER_DATA_DIR'] ?? join(cwd, '.trailkeeper');
  return resolve(cwd, flag ?? env['TRAILKEEPER_KEYS_DIR'] ?? join(data, 'keys'));
};

export const readKeyFiles = async (folder: string): Promise<Map<string, Buffer>> => {
  const files = new Map<string, Buffer>();
  const entries = existsSync(folder) ? await readdir(folder, { recursive: true, withFileTypes: true }) : [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    if (entry.isFile() && isKeyFile(path)) files.set(path, await readFile(join(folder, path)));
  }
  return new Map([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
};

export const writeDurably = async (path: string, bytes: Uint8Array): Promise<void> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.new-${process.pid}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(dirname(path), 'r');
  await folder.sync();
  await folder.close();
};

/** From a file that only its owner can read, or from standard input: never from an argument, which others can see. */
export const readPassphrase = async (file: string | undefined, cwd: string): Promise<string> => {
  if (file === undefined) {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return withoutNewline(Buffer.concat(chunks).toString('utf8'));
  }
  const path = resolve(cwd, file);
  if (!existsSync(path)) throw new CliError(exitCodes.usage, `${file} is not there`);
  if ((statSync(path).mode & 0o077) !== 0)
    throw new CliError(exitCodes.usage, `${file} can be read by others: chmod 600 it`);
  return withoutNewline(await readFile(path, 'utf8'));
};

const withoutNewline = (text: string): string => text.replace(/\r?\n$/, '');
