/**
 * The secrets of one instance, wrapped under its epoch key, in the control database. A secret is written (majority)
 * before anything is encrypted under it; two processes that make the same one both end with the one that was first.
 */
import { randomBytes } from 'node:crypto';
import { Binary, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import type { InstanceId, SubjectId } from '../../schema/ids.ts';
import type { RetentionClass } from '../../schema/taxonomy.ts';
import { controlDatabase, majority, writtenNow } from '../database.ts';
import { TrailError } from '../errors.ts';
import { insertMissing } from '../insert-missing.ts';
import { dataKeyId, deriveDataKey, type DataKeyName } from './derive.ts';
import type { KeyProvider } from './provider.ts';

interface KeyDocument {
  /** `<instance>/<secret name>` */
  _id: string;
  instance: string;
  epoch: number;
  wrapped: Binary;
  /** When it was written, by MongoDB's clock (`writtenNow`): the archive copies what is newer than its last copy. */
  at: Timestamp;
}

const cachedMax = 50_000;
/** Names asked for in one query or written in one batch. */
const namesPerCall = 1000;

export const secretName = {
  classMonth: (retentionClass: RetentionClass, month: string) => `class-month/${retentionClass}/${month}`,
  subjectClass: (subject: SubjectId, retentionClass: RetentionClass) => `subject-class/${subject}/${retentionClass}`,
  /** Pseudonyms of ids that belong to a subject. */
  subjectName: (subject: SubjectId) => `subject-name/${subject}`,
  /** Pseudonyms of ids that belong to no subject. */
  instanceName: 'instance-name',
  /** Look-up of subjects by original id. */
  lookup: 'lookup/1',
  /** Ed25519 seed of the checkpoints. */
  signing: 'signing/1',
} as const;

export class Secrets {
  readonly #instance: InstanceId;
  readonly #provider: KeyProvider;
  readonly #keys: Collection<KeyDocument>;
  readonly #cache = new Map<string, Buffer>();
  readonly #dataKeys = new Map<string, Buffer>();

  constructor(instance: InstanceId, provider: KeyProvider, client: MongoClient) {
    this.#instance = instance;
    this.#provider = provider;
    this.#keys = client.db(controlDatabase).collection<KeyDocument>('keys', majority);
  }

  /** The secrets of these names. Throws KEY_UNAVAILABLE where one was destroyed or never made. */
  async existing(names: readonly string[]): Promise<Map<string, Buffer>> {
    const found = await this.find(names);
    const missing = names.find((name) => !found.has(name));
    if (missing !== undefined) throw new TrailError('KEY_UNAVAILABLE', `the key ${missing} is missing or destroyed`);
    return found;
  }

  /** Those secrets of these names that there are. */
  async find(names: readonly string[]): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const unknown = new Set<string>();
    for (const name of names) {
      const cached = this.#cache.get(name);
      if (cached) found.set(name, cached);
      else unknown.add(name);
    }
    const ids = [...unknown].map((name) => `${this.#instance}/${name}`);
    for (let start = 0; start < ids.length; start += namesPerCall) {
      const documents = await this.#keys.find({ _id: { $in: ids.slice(start, start + namesPerCall) } }).toArray();
      for (const document of documents) {
        const name = document._id.slice(this.#instance.length + 1);
        const secret = await this.#provider.unwrap(this.#instance, document.epoch, document.wrapped.buffer, name);
        this.#remember(name, secret);
        found.set(name, secret);
      }
    }
    return found;
  }

  /** The secrets of these names, made where they are missing: 32 random bytes each. */
  async ensure(names: readonly string[]): Promise<Map<string, Buffer>> {
    const found = await this.find(names);
    const missing = [...new Set(names)].filter((name) => !found.has(name));
    if (missing.length === 0) return found;
    const epoch = await this.#provider.currentEpoch(this.#instance);
    for (let start = 0; start < missing.length; start += namesPerCall) {
      const made: KeyDocument[] = [];
      for (const name of missing.slice(start, start + namesPerCall)) {
        const wrapped = await this.#provider.wrap(this.#instance, epoch, randomBytes(32), name);
        made.push({
          _id: `${this.#instance}/${name}`,
          instance: this.#instance,
          epoch,
          wrapped: new Binary(wrapped),
          at: writtenNow,
        });
      }
      // Where another process was first, what it wrote is what counts.
      await insertMissing(this.#keys, made);
    }
    // Read back with majority, so that what is used is what is kept.
    for (const [name, secret] of await this.existing(missing)) found.set(name, secret);
    return found;
  }

  /** Data keys by their id. `create`: for writing; without it, keys whose secrets are gone are left out. */
  async dataKeys(names: readonly DataKeyName[], options: { create: boolean }): Promise<Map<string, Buffer>> {
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
      if (this.#dataKeys.size >= cachedMax) this.#dataKeys.clear();
      this.#dataKeys.set(dataKeyId(name), key);
      keys.set(dataKeyId(name), key);
    }
    return keys;
  }

  #remember(name: string, secret: Buffer): void {
    if (this.#cache.size >= cachedMax) this.#cache.clear();
    this.#cache.set(name, secret);
  }
}
