/**
 * The keys that sign an instance's checkpoints. Seeds (Ed25519) are wrapped in a collection of their own, which only the
 * appender and the keeper may read; the verifier keys stand beside them for everybody, sealed under the epoch key, so
 * that one that somebody put there by hand is not taken for ours.
 *
 * A new key is made by the keeper, comes into use by an entry of the log, and is retired by another
 * (domain/signing-schedule.ts). A retired seed is destroyed; its verifier key stays for old checkpoints.
 */
import { createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';
import { Binary, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import { openCheckpoint, parseCheckpoint, type OpenedCheckpoint } from '../../domain/tree/checkpoint.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { encodeVkey, noteKey, parseNote, parseVkey, type NoteKey, type NoteSigner } from '../../domain/tree/note.ts';
import { maySign, signingKeyId } from '../../domain/signing-schedule.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { controlDatabase, majority, writtenNow } from '../database.ts';
import { TrailError } from '../errors.ts';
import { insertMissing } from '../insert-missing.ts';
import { isGone, keyringFreshMs, keyringsOf, type Keyring } from './keyring.ts';

/** DER before a raw Ed25519 seed, RFC 8410 section 7. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface SigningKeyDocument {
  /** `<instance>/signing/<version>` */
  _id: string;
  instance: string;
  version: number;
  /** 0 where the seed was destroyed. */
  epoch: number;
  /** The seed; absent where it was destroyed. */
  wrapped?: Binary;
  destroyed?: Date;
  at: Timestamp;
}

export interface VerifierKeyDocument {
  /** `<instance>/signing/<version>` */
  _id: string;
  instance: string;
  version: number;
  /** `name+keyid+base64`; the name is the origin that it signs for. */
  vkey: string;
  epoch: number;
  /** The same, under the epoch key. */
  wrapped: Binary;
  /** Log index of the entry from which on it signs; -1 for the first key of its log, absent while it is not in use. */
  from?: number;
  /** Log index of the entry that retired it. */
  until?: number;
  at: Timestamp;
}

/** One verifier key of a log, and which checkpoints it may have signed. */
export interface LogKey extends NoteKey {
  readonly version: number;
  readonly vkey: string;
  /** It signs checkpoints of more entries than this; undefined for one that is not in use yet. */
  readonly from: number | undefined;
  /** It signs none of more entries than this; undefined while it is in use. */
  readonly until: number | undefined;
}

export const signingKeysOf = (client: MongoClient): Collection<SigningKeyDocument> =>
  client.db(controlDatabase).collection<SigningKeyDocument>('signingKeys', majority);
export const verifierKeysOf = (client: MongoClient): Collection<VerifierKeyDocument> =>
  client.db(controlDatabase).collection<VerifierKeyDocument>('verifierKeys', majority);

const idOf = (instance: InstanceId, version: number): string => `${instance}/${signingKeyId(version)}`;
const seedName = (version: number): string => signingKeyId(version);
export const verifierName = (version: number): string => `verifier/${version}`;

const privateKeyOf = (seed: Buffer): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });

const publicKeyOf = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);

export interface OwnCheckpoint extends OpenedCheckpoint {
  /** Numbers of the keys that signed it. */
  readonly versions: readonly number[];
}

/** The verifier keys of a log by their number. Any duty that may read them can; without a provider they are unproven. */
export const listVerifierKeys = async (client: MongoClient, instance: InstanceId): Promise<VerifierKeyDocument[]> =>
  verifierKeysOf(client)
    .find({ _id: { $gte: `${instance}/`, $lt: `${instance}0` } })
    .sort({ version: 1 })
    .toArray();

/**
 * Makes a signing key, or completes one that an interrupted call began. `client`: keeper duty, or the appender for the
 * first key of a log. Two callers at once end with the same key. A crash between the two writes leaves a seed
 * without its verifier key, which the next call adds.
 */
export const makeSigningKey = async (
  client: MongoClient,
  keyring: Keyring,
  { instance, origin, version, from }: { instance: InstanceId; origin: string; version: number; from?: number },
): Promise<LogKey> => {
  const _id = idOf(instance, version);
  const { epoch, wrapped } = await keyring.wrap(seedName(version), randomBytes(32));
  await insertMissing(signingKeysOf(client), [
    { _id, instance, version, epoch, wrapped: new Binary(wrapped), at: writtenNow },
  ]);
  const seed = await openSeed(client, keyring, instance, version);
  const vkey = encodeVkey(noteKey(origin, publicKeyOf(privateKeyOf(seed))));
  const sealed = await keyring.wrap(verifierName(version), Buffer.from(vkey));
  const document: VerifierKeyDocument = {
    _id,
    instance,
    version,
    vkey,
    epoch: sealed.epoch,
    wrapped: new Binary(sealed.wrapped),
    ...(from !== undefined && { from }),
    at: writtenNow,
  };
  await insertMissing(verifierKeysOf(client), [document]);
  const kept = await verifierKeysOf(client).findOne({ _id });
  if (kept?.vkey !== vkey)
    throw new TrailError(
      'LOG_INCONSISTENT',
      `the verifier key ${signingKeyId(version)} in the database is not its seed's`,
    );
  return { ...parseVkey(vkey), version, vkey, from: kept.from, until: kept.until };
};

const openSeed = async (
  client: MongoClient,
  keyring: Keyring,
  instance: InstanceId,
  version: number,
): Promise<Buffer> => {
  const document = await signingKeysOf(client).findOne({ _id: idOf(instance, version) });
  // After the document, as with every secret (secrets.ts).
  const ring = await keyring.refresh();
  const state = document && ring?.epochs.find((one) => one.epoch === document.epoch)?.state;
  if (!document?.wrapped || (state && isGone(state)))
    throw new TrailError('KEY_UNAVAILABLE', `the signing key ${signingKeyId(version)} is missing or destroyed`);
  return keyring.unwrap(document.epoch, seedName(version), document.wrapped.buffer);
};

/** The keys of one log, for a process that appends to it: it signs, and knows which signatures are ours. */
export class SigningKeys {
  readonly instance: InstanceId;
  readonly origin: string;
  readonly #keyring: Keyring;
  readonly #client: MongoClient;
  readonly #used: (keyId: string) => void;
  readonly #signers = new Map<number, NoteSigner>();
  #keys: readonly LogKey[] = [];
  #readAtMs = -Infinity;
  #generation: number | undefined;

  private constructor(
    instance: InstanceId,
    origin: string,
    keyring: Keyring,
    client: MongoClient,
    used: (keyId: string) => void,
  ) {
    this.instance = instance;
    this.origin = origin;
    this.#keyring = keyring;
    this.#client = client;
    this.#used = used;
  }

  /** Makes the log's first key where it has none. `client`: appender duty. `used` is told the id of a key at each use. */
  static async open(
    { instance, origin, keyring }: { instance: InstanceId; origin: string; keyring: Keyring },
    client: MongoClient,
    used: (keyId: string) => void = () => undefined,
  ): Promise<SigningKeys> {
    const keys = new SigningKeys(instance, origin, keyring, client, used);
    await keys.refresh();
    if (keys.#keys.length === 0) {
      // A log that goes on under a new origin has keys of its own, numbered on.
      const others = await listVerifierKeys(client, instance);
      const version = (others.at(-1)?.version ?? 0) + 1;
      await makeSigningKey(client, keyring, { instance, origin, version, from: -1 });
      await keys.refresh();
    }
    return keys;
  }

  /** Every key of the log, oldest first, retired ones too, as they were last read. */
  get known(): readonly LogKey[] {
    return this.#keys;
  }

  /** The same, at most `keyringFreshMs` old. */
  async keys(): Promise<readonly LogKey[]> {
    if (performance.now() - this.#readAtMs >= keyringFreshMs) await this.refresh();
    return this.#keys;
  }

  /** The first key of the log: signs until an entry says otherwise. */
  get first(): LogKey {
    return this.#keys[0]!;
  }

  /** Verifier key of the newest key that is in use. */
  get vkey(): string {
    return (this.#keys.findLast(({ from, until }) => from !== undefined && until === undefined) ?? this.first).vkey;
  }

  /**
   * Opens one of the log's own checkpoints: it must be signed by a key that may sign one of its size. Throws a TreeError
   * like `openCheckpoint`.
   */
  async open(note: Uint8Array): Promise<OwnCheckpoint> {
    const { size } = parseCheckpoint(parseNote(note).text);
    const openWith = (keys: readonly LogKey[]) =>
      openCheckpoint(
        note,
        keys.filter((key) => maySign(key, size)),
        this.origin,
      );
    let opened: OpenedCheckpoint | undefined;
    try {
      opened = openWith(await this.keys());
    } catch (error) {
      if (!(error instanceof TreeError) || error.code !== 'NOTE_UNSIGNED') throw error;
    }
    // By a key that came into use since the list was read, alone or beside one that is known: a writer that missed one of
    // them would not sign by it either.
    if (!opened || opened.unknown.some(({ name }) => name === this.origin)) {
      await this.refresh();
      opened = openWith(this.#keys);
    }
    const versions = this.#keys.filter((key) => opened.verified.some(({ keyId }) => keyId === key.keyId));
    return { ...opened, versions: versions.map(({ version }) => version) };
  }

  /** Reads the list of keys anew. */
  async refresh(): Promise<void> {
    const readAtMs = performance.now();
    const keys: LogKey[] = [];
    for (const document of await listVerifierKeys(this.#client, this.instance)) {
      const { version, vkey, epoch, wrapped, from, until } = document;
      const key = parseVkey(vkey);
      if (key.name !== this.origin) continue;
      const sealed = await this.#keyring.unwrap(epoch, verifierName(version), wrapped.buffer);
      if (sealed.toString('utf8') !== vkey)
        throw new TrailError(
          'LOG_INCONSISTENT',
          `the verifier key ${signingKeyId(version)} was altered in the database`,
        );
      keys.push({ ...key, version, vkey, from, until });
    }
    this.#keys = keys;
    this.#readAtMs = readAtMs;
  }

  /** Throws KEY_UNAVAILABLE where the seed was destroyed. */
  async signer(version: number): Promise<NoteSigner> {
    // With every change of the keyring: a retired seed is not kept in memory.
    if (this.#generation !== this.#keyring.generation) this.#signers.clear();
    this.#generation = this.#keyring.generation;
    const known = this.#signers.get(version);
    if (known) return known;
    const key = privateKeyOf(await openSeed(this.#client, this.#keyring, this.instance, version));
    const named = noteKey(this.origin, publicKeyOf(key));
    const signer = {
      ...named,
      sign: (message: Buffer) => {
        this.#used(signingKeyId(version));
        return sign(null, message, key);
      },
    };
    this.#generation = this.#keyring.generation;
    this.#signers.set(version, signer);
    return signer;
  }
}

/**
 * Destroys the seed of a key that was retired; its verifier key stays. `client`: keeper duty. Idempotent.
 */
export const destroySeed = async (client: MongoClient, instance: InstanceId, version: number): Promise<void> => {
  const _id = idOf(instance, version);
  const tombstone = { instance, version, epoch: 0, destroyed: new Date(), at: writtenNow };
  await signingKeysOf(client).replaceOne({ _id, destroyed: { $exists: false } }, tombstone);
  await keyringsOf(client).updateOne(
    { _id: instance },
    { $inc: { generation: 1 }, $currentDate: { at: { $type: 'timestamp' } } },
  );
};
