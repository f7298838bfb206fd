/**
 * Epoch keys in files, under a master key in a file: for one machine. `folder` holds `master.key` (32 bytes), during a
 * rotation `master.next.key` and the former `master.previous-<id>.key`, and one folder an instance with `epoch-<n>.key` or, of a destroyed one, `epoch-<n>.destroyed`.
 *
 * The master key is made together with the first epoch key there, never by opening the folder: a process that finds none
 * beside existing data stops (requireKeys), it does not begin anew.
 */
import { createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceId } from '../../schema/ids.ts';
import { TrailError } from '../errors.ts';
import { createFile, readIfThere, removeFile, renameFile, replaceFile } from './durable-file.ts';
import type { KeyUses } from './uses.ts';
import type { Destruction, EpochReference, KeyProvider, MasterKey } from './provider.ts';
import { seal, unseal } from './sealed.ts';

const keyBytes = 32;
/** Reading a key file and its master are two steps, and a rotation may come between. */
const readsMax = 4;

export const masterFile = 'master.key';
const nextMasterFile = 'master.next.key';
/** Named for what is in it, so that nobody removes another one than it meant. */
const previousMasterFile = (master: KeyObject): string => `master.previous-${masterId(master).slice(-16)}.key`;
const previousMasterPattern = /^master\.previous-[0-9a-f]{16}\.key$/;
export const epochFile = (epoch: number): string => `epoch-${epoch}.key`;
export const destroyedFile = (epoch: number): string => `epoch-${epoch}.destroyed`;
const epochFilePattern = /^epoch-(\d+)\.key$/;

interface Masters {
  readonly current: KeyObject | undefined;
  readonly next: KeyObject | undefined;
  /** Masters until a rotation that is not at its end yet; also the current one, just before it goes. */
  readonly previous: readonly KeyObject[];
}

const epochContext = (instance: string, epoch: number): string => `trailkeeper/epoch/v1/${instance}/${epoch}`;

/** Says which master key it is, and nothing else of it. */
const masterId = (master: KeyObject): string =>
  `master/${createHmac('sha256', master).update('trailkeeper/master-id/v1').digest('hex').slice(0, 16)}`;

/** No message names the folder: some of them reach callers of the API. */
const restore = 'restore the folder of keys from its backup (trailkeeper keys restore)';

/** Opening makes and reads nothing. */
export const openFileKeyProvider = async (folder: string): Promise<KeyProvider> => new FileKeyProvider(folder);

export class FileKeyProvider implements KeyProvider {
  readonly kind = 'file';
  readonly #folder: string;
  uses?: KeyUses;
  readonly #unlocked = new Map<string, KeyObject>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async createEpoch(instance: InstanceId, epoch: number): Promise<EpochReference> {
    const reference = { instance, epoch, keyId: `file:${instance}/epoch-${epoch}` };
    const path = this.#path(instance, epochFile(epoch));
    if ((await readIfThere(this.#path(instance, destroyedFile(epoch)))) !== undefined)
      throw gone(`epoch key ${epoch} of ${instance} was destroyed; an epoch's number is never used again`);
    const master = await this.#ensureMaster();
    const key = createSecretKey(randomBytes(keyBytes));
    const sealed = seal(master, key.export(), epochContext(instance, epoch));
    if (!(await createFile(path, sealed))) {
      const present = await this.#open(instance, epoch);
      if (present) {
        await this.#keepOpenable(instance, epoch, present);
        return reference;
      }
      // Left by an interrupted call, under a master key that is gone. No keyring names it; it is kept aside all the same.
      await renameFile(path, `${path}.unreadable-${randomBytes(4).toString('hex')}`);
      return this.createEpoch(instance, epoch);
    }
    // A rotation of the master key may have passed over the folder before the file was there.
    await this.#keepOpenable(instance, epoch, key);
    return reference;
  }

  async unlock({ instance, epoch }: EpochReference): Promise<KeyObject> {
    const id = `${instance}/${epoch}`;
    const known = this.#unlocked.get(id);
    if (known) return known;
    const where = `${instance}/${epochFile(epoch)}`;
    if (await readIfThere(this.#path(instance, destroyedFile(epoch))))
      throw gone(`epoch key ${epoch} of ${instance} was destroyed`);
    if (!(await readIfThere(this.#path(instance, epochFile(epoch)))))
      throw gone(`${where} is missing in the folder of keys; ${restore}`);
    const key = await this.#open(instance, epoch);
    if (!key) {
      const { current, next } = await this.#masters();
      throw current || next
        ? gone(`${masterFile} does not open ${where}: it is another master key; ${restore}`)
        : gone(`${masterFile} is missing in the folder of keys; ${restore}`);
    }
    this.#unlocked.set(id, key);
    return key;
  }

  forget({ instance, epoch }: EpochReference): void {
    this.#unlocked.delete(`${instance}/${epoch}`);
  }

  async destroy(reference: EpochReference): Promise<Destruction> {
    const { instance, epoch } = reference;
    // The mark first: from here on nothing brings the key back, not even a rotation that is re-sealing it.
    await createFile(this.#path(instance, destroyedFile(epoch)), Buffer.from(`${reference.keyId}\n`));
    await removeFile(this.#path(instance, epochFile(epoch)));
    this.forget(reference);
    return { state: 'destroyed' };
  }

  readonly master: MasterKey = {
    prepare: async () => {
      const current = await this.#ensureMaster();
      await createFile(join(this.#folder, nextMasterFile), randomBytes(keyBytes));
      const { next } = await this.#masters();
      return { from: masterId(current), to: masterId(next!) };
    },
    complete: async () => {
      const { current, next } = await this.#masters();
      if (next) {
        if (current) {
          await this.#resealAll(current, next, 'all');
          // A crash from here on leaves it, and with it what another process made under it since the listing.
          await createFile(join(this.#folder, previousMasterFile(current)), current.export());
        }
        // Another call may have ended this rotation meanwhile, and a later one begun: its key takes no place before its files.
        const now = await this.#masters();
        // From here on the new one is the master key; before, a file opens under either of the two.
        if (now.next?.equals(next))
          await renameFile(join(this.#folder, nextMasterFile), join(this.#folder, masterFile));
      }
      await this.#leavePrevious();
    },
  };

  /** Puts what is under a former master key under the current one, and removes the former. Repeated until it is gone. */
  async #leavePrevious(): Promise<void> {
    const { current, previous } = await this.#masters();
    for (const former of previous) {
      // Set aside by another call, which has not come to the new one's place yet.
      if (!current || former.equals(current)) continue;
      await this.#resealAll(former, current, 'those that open');
      await removeFile(join(this.#folder, previousMasterFile(former)));
    }
  }

  async #resealAll(from: KeyObject, to: KeyObject, which: 'all' | 'those that open'): Promise<void> {
    for (const { instance, epoch } of await this.#epochFiles()) {
      const path = this.#path(instance, epochFile(epoch));
      const context = epochContext(instance, epoch);
      const sealed = await readIfThere(path);
      if (!sealed || unseal(to, sealed, context)) continue;
      const key = unseal(from, sealed, context);
      if (!key && which === 'all')
        throw gone(`${instance}/${epochFile(epoch)} opens under neither master key; ${restore}, then rotate again`);
      if (!key) continue;
      await replaceFile(path, seal(to, key, context));
      // Destroyed meanwhile: putting it under the new master key must not bring it back.
      if (await readIfThere(this.#path(instance, destroyedFile(epoch)))) await removeFile(path);
    }
  }

  async #epochFiles(): Promise<{ instance: string; epoch: number }[]> {
    const found: { instance: string; epoch: number }[] = [];
    const entries = await readdir(this.#folder, { withFileTypes: true }).catch(() => []);
    for (const { name: instance } of entries.filter((entry) => entry.isDirectory()))
      for (const name of await readdir(join(this.#folder, instance))) {
        const match = epochFilePattern.exec(name);
        if (match) found.push({ instance, epoch: Number(match[1]) });
      }
    return found;
  }

  /**
   * Sees to it that the file opens under a master key that stays: a rotation may have passed over the folder before the
   * file was there, and what is under a former master key goes with that.
   */
  async #keepOpenable(instance: InstanceId, epoch: number, key: KeyObject): Promise<void> {
    const path = this.#path(instance, epochFile(epoch));
    for (let write = 1; write <= readsMax; write += 1) {
      if (await this.#open(instance, epoch, 'those that stay')) return;
      await replaceFile(path, seal(await this.#ensureMaster(), key.export(), epochContext(instance, epoch)));
    }
  }

  /** The key in the file, undefined where no master key opens it. */
  async #open(
    instance: InstanceId,
    epoch: number,
    which: 'every master' | 'those that stay' = 'every master',
  ): Promise<KeyObject | undefined> {
    for (let read = 1; read <= readsMax; read += 1) {
      const sealed = await readIfThere(this.#path(instance, epochFile(epoch)));
      const { current, next, previous } = await this.#masters();
      for (const master of [current, next, ...(which === 'every master' ? previous : [])]) {
        const key = sealed && master && unseal(master, sealed, epochContext(instance, epoch));
        if (key?.length === keyBytes) return createSecretKey(key);
      }
    }
    return undefined;
  }

  async #masters(): Promise<Masters> {
    const load = async (name: string): Promise<KeyObject | undefined> => {
      const bytes = await readIfThere(join(this.#folder, name));
      if (bytes === undefined) return undefined;
      if (bytes.length === keyBytes) return createSecretKey(bytes);
      throw gone(`${name} has ${bytes.length} bytes, not ${keyBytes}; ${restore}`);
    };
    // The next one first, the former ones last: a rotation moves from one to the other in this order.
    const next = await load(nextMasterFile);
    const current = await load(masterFile);
    const names = (await readdir(this.#folder).catch(() => [])).filter((name) => previousMasterPattern.test(name));
    const previous = (await Promise.all(names.map(load))).filter((master) => master !== undefined);
    return { next, current, previous };
  }

  async #ensureMaster(): Promise<KeyObject> {
    const { current } = await this.#masters();
    if (current) return current;
    const path = join(this.#folder, masterFile);
    if ((await this.#epochFiles()).length > 0)
      throw gone(`${masterFile} is missing but epoch keys are there; ${restore}`);
    await createFile(path, randomBytes(keyBytes));
    const made = (await this.#masters()).current;
    if (!made) throw gone(`${masterFile} was made and is gone again`);
    return made;
  }

  #path(instance: string, name: string): string {
    return join(this.#folder, instance, name);
  }
}

const gone = (message: string): TrailError => new TrailError('KEY_UNAVAILABLE', message);
