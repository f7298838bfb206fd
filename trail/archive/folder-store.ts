/**
 * An archive in a folder. An object is written beside its place, made read-only, synced, and linked into it, which fails
 * where something stands there; then the folders are synced. A crash leaves a draft (`.draft-*`), which nothing reads.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ArchiveError } from './errors.ts';
import { requireName, type ArchiveStore, type ListedObject } from './store.ts';

const draftPrefix = '.draft-';
const readOnly = 0o444;

/** `folder` is one instance's; made where it is missing, with its parents. */
export const folderStore = (folder: string): ArchiveStore => {
  const pathOf = (name: string): string => join(folder, requireName(name));
  const madeFolders = new Set<string>();

  /** Makes a folder of objects; a folder entry is durable when the folder above is synced. */
  const ensureFolder = async (path: string): Promise<void> => {
    if (madeFolders.has(path)) return;
    const first = await mkdir(path, { recursive: true, mode: 0o755 });
    if (first !== undefined) {
      let at = path;
      while (at !== first) {
        at = dirname(at);
        await syncFolder(at);
      }
      await syncFolder(dirname(first));
    }
    madeFolders.add(path);
  };

  const writeDraft = async (path: string, bytes: Uint8Array): Promise<string> => {
    await ensureFolder(dirname(path));
    const draft = join(dirname(path), `${draftPrefix}${randomBytes(6).toString('hex')}`);
    const file = await open(draft, 'wx', 0o644);
    try {
      await file.writeFile(bytes);
      await file.chmod(readOnly);
      await file.sync();
    } catch (error) {
      await unlink(draft).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
    return draft;
  };

  const get = async (name: string): Promise<Buffer | undefined> => {
    try {
      return await readFile(pathOf(name));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw failureOf(error, name);
    }
  };

  return {
    place: folder,
    async put(name, bytes) {
      const path = pathOf(name);
      try {
        if (!(await isThere(path))) {
          const draft = await writeDraft(path, bytes);
          try {
            await link(draft, path);
          } catch (error) {
            // Another process was first: what it wrote is compared below.
            if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
          } finally {
            await unlink(draft);
          }
        }
        // Also where it stood there: whoever linked it may have crashed before this.
        await syncFolder(dirname(path));
      } catch (error) {
        throw failureOf(error, name);
      }
      const kept = await get(name);
      if (!kept?.equals(bytes))
        throw new ArchiveError('ARCHIVE_CONFLICT', `${name} holds other bytes than those to be written`, {
          object: name,
        });
      return { name, sizeBytes: bytes.length };
    },
    async renew(name, bytes) {
      const path = pathOf(name);
      try {
        await rename(await writeDraft(path, bytes), path);
        await syncFolder(dirname(path));
      } catch (error) {
        throw failureOf(error, name);
      }
    },
    get,
    newest: get,
    list: (prefix) => listFolder(folder, prefix),
    async last(below) {
      return lastIn(folder, below.replace(/\/$/, ''));
    },
  };
};

async function* listFolder(root: string, prefix: string): AsyncGenerator<ListedObject> {
  yield* walk(root, '', prefix);
}

/** Depth first, in the order of the whole names: a folder is compared as if its name ended in a slash. */
async function* walk(root: string, folder: string, prefix: string): AsyncGenerator<ListedObject> {
  for (const { name, isFolder } of await entriesOf(root, folder)) {
    const path = folder === '' ? name : `${folder}/${name}`;
    if (isFolder) {
      const below = `${path}/`;
      if (below.startsWith(prefix) || prefix.startsWith(below)) yield* walk(root, path, prefix);
    } else if (path.startsWith(prefix)) {
      const { size } = await stat(join(root, path));
      yield { name: path, sizeBytes: size, covered: false };
    }
  }
}

const lastIn = async (root: string, folder: string): Promise<string | undefined> => {
  for (const { name, isFolder } of (await entriesOf(root, folder)).toReversed()) {
    const path = `${folder}/${name}`;
    const found = isFolder ? await lastIn(root, path) : path;
    if (found !== undefined) return found;
  }
  return undefined;
};

const entriesOf = async (root: string, folder: string): Promise<{ name: string; isFolder: boolean }[]> => {
  try {
    const found = await readdir(join(root, folder), { withFileTypes: true });
    return found
      .filter(({ name }) => !name.startsWith(draftPrefix))
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
      .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  } catch (error) {
    if (isMissing(error)) return [];
    throw failureOf(error, folder);
  }
};

const sortKey = ({ name, isFolder }: { name: string; isFolder: boolean }): string => (isFolder ? `${name}/` : name);

const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

const isThere = async (path: string): Promise<boolean> => {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
};

const isMissing = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR';
};

/** Not permitted: ours to mend; everything else (full, read-only, I/O) may pass. */
const failureOf = (error: unknown, name: string): ArchiveError => {
  if (error instanceof ArchiveError) return error;
  // A name of ours that is none: a defect, not the storage's.
  if (error instanceof RangeError) throw error;
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  return code === 'EACCES' || code === 'EPERM'
    ? new ArchiveError('ARCHIVE_REFUSED', `${name}: the file system does not permit it (${code})`, { cause: error })
    : new ArchiveError('ARCHIVE_UNAVAILABLE', `${name}: the file system does not take or give it (${code})`, {
        cause: error,
      });
};
