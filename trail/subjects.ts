/**
 * Data subjects by the ids they have elsewhere. The map is keyed (keys/lookup.ts): its rows say nothing to whoever holds no
 * key. A row holds, under the same key, the subject's id and the original one, so that it can be moved to another key.
 *
 * A rotation may move the look-up to another key at any time. Who made a row, or found none, looks at the keyring once
 * more: if the key is still the current one, the row was made before the move and is moved with the others; if not, it is
 * looked for again. So nobody ever gets two subjects, also where a process was stopped for long in between.
 */
import { randomBytes } from 'node:crypto';
import { Binary, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import type { SubjectRef } from '../schema/event.ts';
import type { InstanceId, SubjectId } from '../schema/ids.ts';
import { controlDatabase, majority, writtenNow } from './database.ts';
import { TrailError } from './errors.ts';
import { insertMissing } from './insert-missing.ts';
import { LookupKeys, type LookupKey, type LookupKeyPair, type OriginalId } from './keys/lookup.ts';
import type { Secrets } from './keys/secrets.ts';

export interface SubjectDocument {
  /** `<instance>/<HMAC in hex>` */
  _id: string;
  instance: string;
  /** Epoch whose look-up key it is under. */
  lookup: number;
  /** `SubjectRow`, sealed under the look-up key. */
  subject: Binary;
  /** `writtenNow`, for the archive. */
  at: Timestamp;
}

export interface SubjectRow extends OriginalId {
  readonly subject: SubjectId;
}

export const subjectsCachedMax = 100_000;
const idsPerCall = 1000;
/** Rotations are far apart: more than one while a call runs means that something is wrong. */
const movesMax = 3;

export const subjectsOf = (client: MongoClient): Collection<SubjectDocument> =>
  client.db(controlDatabase).collection<SubjectDocument>('subjects', majority);

export const subjectDocument = (instance: InstanceId, key: LookupKey, row: SubjectRow): SubjectDocument => {
  const _id = key.row(instance, row);
  return { _id, instance, lookup: key.epoch, subject: new Binary(key.seal(_id, row)), at: writtenNow };
};

/** Undefined where the row is under another key. */
export const openSubject = (key: LookupKey, { _id, subject }: SubjectDocument): SubjectRow | undefined =>
  key.open(_id, subject.buffer) as SubjectRow | undefined;

const nothing = { subjects: new Map<string, SubjectId>(), certain: false };

type Named = Exclude<SubjectRef, { subject: SubjectId }>;

export class Subjects {
  readonly #instance: InstanceId;
  readonly #secrets: Secrets;
  readonly #lookup: LookupKeys;
  readonly #map: Collection<SubjectDocument>;
  readonly #cache = new Map<string, SubjectId>();
  readonly #cachedMax: number;
  #changes = 0;

  constructor(
    instance: InstanceId,
    secrets: Secrets,
    client: MongoClient,
    { cachedMax = subjectsCachedMax }: { readonly cachedMax?: number } = {},
  ) {
    this.#cachedMax = cachedMax;
    this.#instance = instance;
    this.#secrets = secrets;
    this.#lookup = new LookupKeys(secrets, 'lookup');
    this.#map = subjectsOf(client);
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
    const named = references.filter((reference): reference is Named => !('subject' in reference));
    if (named.length === 0) return references.map((r) => ('subject' in r ? r.subject : undefined));
    for (let move = 1; ; move += 1) {
      const lookup = create ? await this.#lookup.ensure() : await this.#lookup.find();
      const { keys } = lookup;
      const rows = keys && new Map(named.map((reference) => [reference, keys[0].row(this.#instance, reference)]));
      const found = keys && rows ? await this.#locate(keys, rows, create) : nothing;
      if (!found.certain && (await this.#lookup.moved(lookup))) {
        if (move < movesMax) continue;
        throw new TrailError('TRAIL_UNAVAILABLE', 'the look-up of data subjects is being moved; try again');
      }
      return references.map((reference) =>
        'subject' in reference ? reference.subject : rows && found.subjects.get(rows.get(reference)!),
      );
    }
  }

  /**
   * Subjects by their row under the current key. `certain`: all of them stood there before; else the keyring must be seen
   * once more before anything rests on it.
   */
  async #locate(
    [current, previous]: LookupKeyPair,
    named: ReadonlyMap<Named, string>,
    create: boolean,
  ): Promise<{ subjects: Map<string, SubjectId>; certain: boolean }> {
    const rows = new Map<string, Named>();
    for (const [reference, row] of named) rows.set(row, reference);
    // Kept beside the cache, which may be emptied at any time.
    const subjects = await this.#load([...rows.keys()], current);
    const unknown = [...rows].filter(([row]) => !subjects.has(row));
    if (unknown.length === 0) return { subjects, certain: true };
    const before = previous ? await this.#moving(previous, unknown) : new Map<string, SubjectId>();
    if (!create) {
      for (const [row, subject] of before) subjects.set(row, subject);
      return { subjects, certain: false };
    }
    const made = unknown.map(([row, { system, kind, id }]) => {
      const subject = before.get(row) ?? (`sub_${randomBytes(16).toString('hex')}` as SubjectId);
      return subjectDocument(this.#instance, current, { subject, system, kind, id });
    });
    // Where another process was first, what it wrote is what counts.
    for (let start = 0; start < made.length; start += idsPerCall)
      await insertMissing(this.#map, made.slice(start, start + idsPerCall));
    const kept = await this.#load(
      made.map(({ _id }) => _id),
      current,
    );
    for (const [row, subject] of kept) subjects.set(row, subject);
    // Erased or moved in between: seen by looking at the keyring, or a matter of trying again.
    if (subjects.size < rows.size && !(await this.#lookup.moved(current)))
      throw new TrailError('TRAIL_UNAVAILABLE', 'a data subject that was just written could not be read back');
    return { subjects, certain: false };
  }

  /** Subjects that are still under the key before, by their rows under the current one. */
  async #moving(previous: LookupKey, unknown: readonly (readonly [string, Named])[]): Promise<Map<string, SubjectId>> {
    const rows = new Map(unknown.map(([row, reference]) => [previous.row(this.#instance, reference), row]));
    const found = new Map<string, SubjectId>();
    for (const [row, subject] of await this.#load([...rows.keys()], previous)) found.set(rows.get(row)!, subject);
    return found;
  }

  async #load(rows: readonly string[], key: LookupKey): Promise<Map<string, SubjectId>> {
    if (this.#changes !== this.#secrets.changes) {
      this.#changes = this.#secrets.changes;
      this.#cache.clear();
    }
    const found = new Map<string, SubjectId>();
    const unknown: string[] = [];
    for (const row of rows) {
      const cached = this.#cache.get(row);
      if (cached) found.set(row, cached);
      else unknown.push(row);
    }
    const changes = this.#changes;
    for (let start = 0; start < unknown.length; start += idsPerCall) {
      const ids = unknown.slice(start, start + idsPerCall);
      for (const document of await this.#map.find({ _id: { $in: ids } }).toArray()) {
        const row = openSubject(key, document);
        if (!row) throw new TrailError('KEY_UNAVAILABLE', 'a row of the data subjects does not open under its key');
        found.set(document._id, row.subject);
        if (changes !== this.#secrets.changes) continue;
        if (this.#cache.size >= this.#cachedMax) this.#cache.clear();
        this.#cache.set(document._id, row.subject);
      }
    }
    return found;
  }
}
