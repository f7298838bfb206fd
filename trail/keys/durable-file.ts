/** Files that are there whole or not at all, on disk before the call returns. Mode 600, in folders of mode 700. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, basename, join } from 'node:path';

const syncFolder = async (folder: string): Promise<void> => {
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
};

/** A crash leaves a draft (`.name.<random>`) at most, which nobody reads. */
const writeDraft = async (path: string, bytes: Uint8Array): Promise<string> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return draft;
};

/** Creates the file with these bytes; false where it exists already, and is left as it is. */
export const createFile = async (path: string, bytes: Uint8Array): Promise<boolean> => {
  const draft = await writeDraft(path, bytes);
  try {
    await link(draft, path);
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
};

/** Creates or replaces the file. A reader sees the old bytes or the new ones. */
export const replaceFile = async (path: string, bytes: Uint8Array): Promise<void> => {
  await rename(await writeDraft(path, bytes), path);
  await syncFolder(dirname(path));
};

/** False where there is nothing to rename. */
export const renameFile = async (from: string, to: string): Promise<boolean> => {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  await syncFolder(dirname(to));
  return true;
};

/** Absent files stay absent. */
export const removeFile = async (path: string): Promise<void> => {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await syncFolder(dirname(path));
};

export const readIfThere = async (path: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
};
