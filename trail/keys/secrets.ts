/**
 * The secrets of one instance, wrapped under its epoch key, in the control database. A secret is written (majority)
 * before anything is encrypted under it; two processes that make the same one both end with the one that was first.
 *
 * A secret that was destroyed leaves a tombstone in its place: it is never made again, and a process that held it drops
 * it within `keyringFreshMs` (keyring.ts). A secret counts only where the keyring, read after it, still has its epoch
 * open: so one that a frozen process writes after its epoch was closed is used by nobody.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Binary, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import type { InstanceId, SubjectId } from '../../schema/ids.ts';
import type { RetentionClass } from '../../schema/taxonomy.ts';
import { controlDatabase, majority, writtenNow } from '../database.ts';
import { TrailError } from '../errors.ts';
import { insertMissing } from '../insert-missing.ts';
import { dataKeyId, deriveDataKey, type DataKeyName } from './derive.ts';
import { isGone, Keyring, type KeyringDocument } from './keyring.ts';
import type { KeyProvider } from './provider.ts';

export interface KeyDocument {
  /** `<instance>/<secret name>` */
  _id: string;
  instance: string;
  /** 0 in a tombstone. */
  epoch: number;
  /** Absent in a tombstone. */
  wrapped?: Binary;
  /** In a tombstone: when it was destroyed. */
  destroyed?: Date;
  /** When it was written, by MongoDB's clock (`writtenNow`): the archive copies what is newer than its last copy. */
  at: Timestamp;
}

const cachedMax = 50_000;
/** Names asked for in one query or written in one batch. */
const namesPerCall = 1000;
/** A secret whose epoch was just closed is being wrapped anew; that is a matter of moments. */
const readsMax = 20;
const rereadMs = 100;

export const secretName = {
  classMonth: (retentionClass: RetentionClass, month: string) => `class-month/${retentionClass}/${month}`,
  subjectClass: (subject: SubjectId, retentionClass: RetentionClass) => `subject-class/${subject}/${retentionClass}`,
  /** Pseudonyms of ids that belong to a subject. */
  subjectName: (subject: SubjectId) => `subject-name/${subject}`,
  /** Pseudonyms of ids that belong to no subject. */
  instanceName: 'instance-name',
  /** Look-up of subjects and identities by original id; another one with every epoch. */
  lookup: (epoch: number) => `lookup/${epoch}`,
} as const;

export const keysOf = (client: MongoClient): Collection<KeyDocument> =>
  client.db(controlDatabase).collection<KeyDocument>('keys', majority);

export class Secrets {
  readonly keyring: Keyring;
  readonly #instance: InstanceId;
  readonly #keys: Collection<KeyDocument>;
  readonly #cache = new Map<string, Buffer>();
  readonly #destroyed = new Set<string>();
  readonly #dataKeys = new Map<string, Buffer>();
  /** What was being read across one is not kept. */
  #changes = 0;

  constructor(instance: InstanceId, provider: KeyProvider, client: MongoClient) {
    this.#instance = instance;
    this.#keys = keysOf(client);
    this.keyring = new Keyring(instance, provider, client, () => {
      this.#changes += 1;
      this.#cache.clear();
      this.#destroyed.clear();
      this.#dataKeys.clear();
    });
  }

  /** The secrets of these names. Throws KEY_UNAVAILABLE where one was destroyed or never made. */
  async existing(names: readonly string[]): Promise<Map<string, Buffer>> {
    const found = await this.find(names);
    const missing = names.find((name) => !found.has(name));
    if (missing !== undefined) throw new TrailError('KEY_UNAVAILABLE', `the key ${missing} is missing or destroyed`);
    return found;
  }

  /** Counts the changes of the keyring: what was got before the last one is to be got again. */
  get changes(): number {
    return this.#changes;
  }

  /** Those secrets of these names that there are. */
  async find(names: readonly string[]): Promise<Map<string, Buffer>> {
    if (!this.keyring.isFresh) await this.keyring.read();
    const found = new Map<string, Buffer>();
    const unknown = new Set<string>();
    for (const name of names) {
      const cached = this.#cache.get(name);
      if (cached) found.set(name, cached);
      else if (!this.#destroyed.has(name)) unknown.add(name);
    }
    const pending = [...unknown];
    for (let start = 0; start < pending.length; start += namesPerCall)
      for (const [name, secret] of await this.#load(pending.slice(start, start + namesPerCall)))
        found.set(name, secret);
    return found;
  }

  /** Which of these secrets were destroyed, and so can never be had again. */
  async destroyed(names: readonly string[]): Promise<ReadonlySet<string>> {
    await this.find(names);
    return new Set(names.filter((name) => this.#destroyed.has(name)));
  }

  /**
   * The secrets of these names, made where they are missing: 32 random bytes each. Throws KEY_UNAVAILABLE where one was
   * destroyed, and TRAIL_UNAVAILABLE (retryable) where an epoch was closed while it was being made.
   */
  async ensure(names: readonly string[]): Promise<Map<string, Buffer>> {
    const found = await this.find(names);
    const missing = [...new Set(names)].filter((name) => !found.has(name));
    if (missing.length === 0) return found;
    // Under the epoch that is current now: one under an epoch that was closed meanwhile waits for the keeper.
    await this.keyring.refresh();
    for (let start = 0; start < missing.length; start += namesPerCall) {
      const made: KeyDocument[] = [];
      for (const name of missing.slice(start, start + namesPerCall)) {
        if (this.#destroyed.has(name)) continue;
        const { epoch, wrapped } = await this.keyring.wrap(name, randomBytes(32));
        made.push({
          _id: `${this.#instance}/${name}`,
          instance: this.#instance,
          epoch,
          wrapped: new Binary(wrapped),
          at: writtenNow,
        });
      }
      // Where another process was first, what it wrote is what counts; so does a tombstone.
      await insertMissing(this.#keys, made);
    }
    // Read back with majority, so that what is used is what is kept.
    for (const [name, secret] of await this.existing(missing)) found.set(name, secret);
    return found;
  }

  async #load(names: readonly string[]): Promise<Map<string, Buffer>> {
    const ids = names.map((name) => `${this.#instance}/${name}`);
    for (let read = 1; ; read += 1) {
      const changes = this.#changes;
      const documents = await this.#keys.find({ _id: { $in: ids } }).toArray();
      if (documents.length === 0) return new Map();
      // After the documents: an epoch that is open now was open when they were written, so that closing it found them.
      const keyring = await this.keyring.refresh();
      // What was destroyed or wrapped anew meanwhile is read again.
      if (changes === this.#changes) {
        const found = await this.#unwrapOpen(documents, keyring);
        if (found) return found;
        await delay(rereadMs);
      }
      if (read === readsMax)
        throw new TrailError(
          'TRAIL_UNAVAILABLE',
          'keys are being wrapped under a new epoch; try again with the same ids',
        );
    }
  }

  /** Undefined where one is under an epoch that was closed: it is about to be under the current one. */
  async #unwrapOpen(
    documents: readonly KeyDocument[],
    keyring: KeyringDocument | undefined,
  ): Promise<Map<string, Buffer> | undefined> {
    const found = new Map<string, Buffer>();
    const changes = this.#changes;
    for (const { _id, epoch, wrapped } of documents) {
      const name = _id.slice(this.#instance.length + 1);
      const state = keyring?.epochs.find((one) => one.epoch === epoch)?.state;
      if (state === 'closed') return undefined;
      if (!wrapped || (state && isGone(state))) this.#destroyed.add(name);
      else found.set(name, await this.keyring.unwrap(epoch, name, wrapped.buffer));
    }
    if (changes !== this.#changes) return undefined;
    for (const [name, secret] of found) {
      if (this.#cache.size >= cachedMax) this.#cache.clear();
      this.#cache.set(name, secret);
    }
    return found;
  }

  /** Data keys by their id. `create`: for writing; without it, keys whose secrets are gone are left out. */
  async dataKeys(names: readonly DataKeyName[], options: { create: boolean }): Promise<Map<string, Buffer>> {
    if (!this.keyring.isFresh) await this.keyring.read();
    const changes = this.#changes;
    const keys = new Map<string, Buffer>();
    const underived: DataKeyName[] = [];
    for (const name of names) {
      const id = dataKeyId(name);
      const cached = this.#dataKeys.get(id);
      if (cached) keys.set(id, cached);
      else underived.push(name);
    }
    if (underived.length === 0) return keys;
    const secretNames = underived.flatMap((name) => [
      secretName.classMonth(name.retentionClass, name.month),
      ...(name.subject ? [secretName.subjectClass(name.subject, name.retentionClass)] : []),
    ]);
    const secrets = options.create ? await this.ensure(secretNames) : await this.find(secretNames);
    for (const name of underived) {
      const classMonth = secrets.get(secretName.classMonth(name.retentionClass, name.month));
      const subjectClass = name.subject && secrets.get(secretName.subjectClass(name.subject, name.retentionClass));
      if (!classMonth || (name.subject && !subjectClass)) continue;
      const key = deriveDataKey(this.#instance, name, classMonth, subjectClass);
      if (changes === this.#changes) {
        if (this.#dataKeys.size >= cachedMax) this.#dataKeys.clear();
        this.#dataKeys.set(dataKeyId(name), key);
      }
      keys.set(dataKeyId(name), key);
    }
    return keys;
  }
}
