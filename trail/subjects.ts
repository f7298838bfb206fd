/**
 * Data subjects by the ids they have elsewhere. The map is keyed: HMAC(look-up secret, system, kind, original id) to
 * the encrypted subject id, so that its rows say nothing to whoever holds no key.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import { Binary, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import type { SubjectRef } from '../schema/event.ts';
import type { InstanceId, SubjectId } from '../schema/ids.ts';
import { controlDatabase, majority, writtenNow } from './database.ts';
import { TrailError } from './errors.ts';
import { insertMissing } from './insert-missing.ts';
import { secretName, type Secrets } from './keys/secrets.ts';

interface SubjectDocument {
  /** `<instance>/<HMAC in hex>` */
  _id: string;
  instance: string;
  subject: Binary;
  /** `writtenNow`, for the archive. */
  at: Timestamp;
}

export const subjectsCachedMax = 100_000;
const idsPerCall = 1000;

export class Subjects {
  readonly #instance: InstanceId;
  readonly #secrets: Secrets;
  readonly #map: Collection<SubjectDocument>;
  readonly #cache = new Map<string, SubjectId>();
  readonly #cachedMax: number;
  #keys: { mac: Buffer; box: Buffer } | undefined;

  constructor(
    instance: InstanceId,
    secrets: Secrets,
    client: MongoClient,
    { cachedMax = subjectsCachedMax }: { readonly cachedMax?: number } = {},
  ) {
    this.#cachedMax = cachedMax;
    this.#instance = instance;
    this.#secrets = secrets;
    this.#map = client.db(controlDatabase).collection<SubjectDocument>('subjects', majority);
  }

  /** Subject ids for these references, in their order; unknown people get a new opaque id. */
  async ensure(references: readonly SubjectRef[]): Promise<SubjectId[]> {
    return this.#resolve(references, true) as Promise<SubjectId[]>;
  }

  /** Subject ids for these references, undefined where nobody is known by one. */
  async find(references: readonly SubjectRef[]): Promise<(SubjectId | undefined)[]> {
    return this.#resolve(references, false);
  }

  async #resolve(references: readonly SubjectRef[], create: boolean): Promise<(SubjectId | undefined)[]> {
    if (references.every((reference) => 'subject' in reference)) return references.map((r) => r.subject);
    const keys = await this.#lookupKeys(create);
    if (!keys) return references.map((reference) => ('subject' in reference ? reference.subject : undefined));
    const rows = references.map((reference) => ('subject' in reference ? undefined : this.#rowId(keys.mac, reference)));
    const named = [...new Set(rows.filter((row) => row !== undefined))];
    // Kept beside the cache, which may be emptied at any time.
    const found = await this.#load(named, keys.box);
    if (create) {
      const unknown = named.filter((row) => !found.has(row));
      for (const [row, subject] of await this.#create(unknown, keys.box)) found.set(row, subject);
    }
    return references.map((reference, position) =>
      'subject' in reference ? reference.subject : found.get(rows[position]!),
    );
  }

  async #load(rows: readonly string[], key: Buffer): Promise<Map<string, SubjectId>> {
    const found = new Map<string, SubjectId>();
    const unknown: string[] = [];
    for (const row of rows) {
      const cached = this.#cache.get(row);
      if (cached) found.set(row, cached);
      else unknown.push(row);
    }
    for (let start = 0; start < unknown.length; start += idsPerCall) {
      const ids = unknown.slice(start, start + idsPerCall);
      for (const document of await this.#map.find({ _id: { $in: ids } }).toArray()) {
        const subject = open(key, document.subject.buffer, document._id);
        found.set(document._id, subject);
        if (this.#cache.size >= this.#cachedMax) this.#cache.clear();
        this.#cache.set(document._id, subject);
      }
    }
    return found;
  }

  async #create(rows: readonly string[], key: Buffer): Promise<Map<string, SubjectId>> {
    for (let start = 0; start < rows.length; start += idsPerCall) {
      const made = rows.slice(start, start + idsPerCall).map((row): SubjectDocument => {
        const subject = `sub_${randomBytes(16).toString('hex')}` as SubjectId;
        return { _id: row, instance: this.#instance, subject: new Binary(seal(key, subject, row)), at: writtenNow };
      });
      // Where another process was first, what it wrote is what counts.
      await insertMissing(this.#map, made);
    }
    const found = await this.#load(rows, key);
    if (found.size < rows.length)
      throw new TrailError('TRAIL_UNAVAILABLE', 'a data subject that was just written could not be read back');
    return found;
  }

  #rowId(mac: Buffer, reference: { system: string; kind: string; id: string }): string {
    const digest = createHmac('sha256', createSecretKey(mac)).update(
      `${reference.system}\0${reference.kind}\0${reference.id}`,
    );
    return `${this.#instance}/${digest.digest('hex')}`;
  }

  async #lookupKeys(create: boolean): Promise<{ mac: Buffer; box: Buffer } | undefined> {
    if (this.#keys) return this.#keys;
    const names = [secretName.lookup];
    const secret = (create ? await this.#secrets.ensure(names) : await this.#secrets.find(names)).get(names[0]!);
    if (!secret) return undefined;
    const derive = (info: string) => Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), info, 32));
    this.#keys = { mac: derive('trailkeeper/lookup-mac/v1'), box: derive('trailkeeper/lookup-box/v1') };
    return this.#keys;
  }
}

const seal = (key: Buffer, subject: SubjectId, row: string): Buffer => {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), nonce).setAAD(Buffer.from(row));
  return Buffer.concat([nonce, cipher.update(subject), cipher.final(), cipher.getAuthTag()]);
};

const open = (key: Buffer, sealed: Uint8Array, row: string): SubjectId => {
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), sealed.subarray(0, 12)).setAAD(
    Buffer.from(row),
  );
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString() as SubjectId;
};
