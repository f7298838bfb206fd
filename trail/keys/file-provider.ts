/** Epoch keys in files, under a master key in a file: for one machine. Files are mode 600 and written atomically. */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceId } from '../../schema/ids.ts';
import { TrailError } from '../errors.ts';
import type { KeyProvider } from './provider.ts';

const seal = (key: Uint8Array, plaintext: Uint8Array, context: string): Buffer => {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
};

const unseal = (key: Uint8Array, sealed: Uint8Array, context: string): Buffer => {
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), sealed.subarray(0, 12)).setAAD(
    Buffer.from(context),
  );
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
};

/** Creates the file with these bytes, durably; false where it exists already. Never leaves a partial file. */
const createFile = async (folder: string, name: string, bytes: Uint8Array): Promise<boolean> => {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.${name}.${randomBytes(6).toString('hex')}`);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, join(folder, name));
    const directory = await open(folder, 'r');
    await directory.sync();
    await directory.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
};

const readIfThere = async (path: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

/** `folder` holds `master.key` (32 bytes) and one folder an instance with `epoch-<n>.key`. Made where missing. */
export const openFileKeyProvider = async (folder: string): Promise<KeyProvider> => {
  const masterPath = join(folder, 'master.key');
  const hadEpochs = (await readdir(folder).catch(() => [])).some((name) => !name.includes('.'));
  if ((await readIfThere(masterPath)) === undefined) {
    if (hadEpochs)
      throw new TrailError('KEY_UNAVAILABLE', `the master key ${masterPath} is missing but epoch keys are there`);
    await createFile(folder, 'master.key', randomBytes(32));
  }
  const master = await readFile(masterPath);
  if (master.length !== 32) throw new TrailError('KEY_UNAVAILABLE', `the master key ${masterPath} is not 32 bytes`);

  const epochs = new Map<string, Buffer>();
  const epochContext = (instance: InstanceId, epoch: number) => `trailkeeper/epoch/v1/${instance}/${epoch}`;

  const epochKey = async (instance: InstanceId, epoch: number): Promise<Buffer> => {
    const cacheKey = `${instance}/${epoch}`;
    const cached = epochs.get(cacheKey);
    if (cached) return cached;
    const sealed = await readIfThere(join(folder, instance, `epoch-${epoch}.key`));
    if (!sealed) throw new TrailError('KEY_UNAVAILABLE', `epoch key ${epoch} of this instance is gone`);
    try {
      const key = unseal(master, sealed, epochContext(instance, epoch));
      epochs.set(cacheKey, key);
      return key;
    } catch (cause) {
      throw new TrailError('KEY_UNAVAILABLE', 'the master key does not open the epoch key', { cause });
    }
  };

  const context = (instance: InstanceId, epoch: number, name: string) =>
    `trailkeeper/wrap/v1/${instance}/${epoch}/${name}`;

  return {
    async currentEpoch(instance) {
      const names = await readdir(join(folder, instance)).catch(() => []);
      const numbers = names.flatMap((name) => {
        const match = /^epoch-(\d+)\.key$/.exec(name);
        return match ? [Number(match[1])] : [];
      });
      if (numbers.length > 0) return Math.max(...numbers);
      await createFile(join(folder, instance), 'epoch-1.key', seal(master, randomBytes(32), epochContext(instance, 1)));
      return 1;
    },
    async wrap(instance, epoch, plaintext, name) {
      return seal(await epochKey(instance, epoch), plaintext, context(instance, epoch, name));
    },
    async unwrap(instance, epoch, wrapped, name) {
      const key = await epochKey(instance, epoch);
      try {
        return unseal(key, wrapped, context(instance, epoch, name));
      } catch (cause) {
        throw new TrailError('KEY_UNAVAILABLE', `the wrapped key ${name} does not open`, { cause });
      }
    },
  };
};
