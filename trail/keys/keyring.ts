/**
 * The keyring of one instance: which epoch keys it has, which of them wraps, and which are done with. One document in the
 * control database, changed by the control applier (what an entry of the log says) and by the keeper (what became of a
 * key), never by who only uses keys.
 *
 * Processes keep what they read for `keyringFreshMs`; each change raises `generation`, upon which they drop every secret
 * that they hold. So what is destroyed is out of use everywhere within that time.
 */
import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { Binary, MongoServerError, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import { epochKeyId } from '../../domain/signing-schedule.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { controlDatabase, majority, writtenNow } from '../database.ts';
import { TrailError } from '../errors.ts';
import type { EpochReference, KeyProvider, ProviderKind } from './provider.ts';
import { seal, unseal } from './sealed.ts';

/** How long a process may go on with a keyring that it has read, in milliseconds. */
export const keyringFreshMs = 5000;

/**
 * `made`: it exists, nothing is wrapped under it yet. `live`: secrets may be wrapped under it; new ones are under the
 * current one. `closed`: everything was wrapped anew under another, and nothing more may be under it. `destroying`: it is to be
 * destroyed and nobody uses it. `pending`: the provider destroys it at `until`. `destroyed`: it is gone.
 */
export const epochStates = ['made', 'live', 'closed', 'destroying', 'pending', 'destroyed'] as const;
export type EpochState = (typeof epochStates)[number];

export interface EpochDocument {
  epoch: number;
  provider: ProviderKind;
  keyId: string;
  dataKey?: Binary;
  /** Key check value: tells whether the provider gives out the key that was meant. Says nothing of the key. */
  check: string;
  state: EpochState;
  made: Date;
  /** When the provider destroys it, or did. */
  until?: Date;
}

export interface KeyringDocument {
  /** The instance. */
  _id: string;
  instance: string;
  /** Raised by every change. */
  generation: number;
  /** Log index of the last entry that changed it, -1 for none. */
  index: number;
  /** Epoch whose key wraps new secrets. */
  current: number;
  /** While a rotation moves the look-ups by original ids: the epoch whose look-up key they may still be under. */
  previous?: number;
  /** Id of the master key, as the last rotation left it. */
  master?: string;
  epochs: EpochDocument[];
  /** `writtenNow`, for the archive. */
  at: Timestamp;
}

export const keyringsOf = (client: MongoClient): Collection<KeyringDocument> =>
  client.db(controlDatabase).collection<KeyringDocument>('keyrings', majority);

export const checkOf = (key: KeyObject, instance: string, epoch: number): string =>
  createHmac('sha256', key).update(`trailkeeper/key-check/v1/${instance}/${epoch}`).digest('hex').slice(0, 32);

export const referenceOf = (instance: InstanceId, { epoch, keyId, dataKey }: EpochDocument): EpochReference => ({
  instance,
  epoch,
  keyId,
  ...(dataKey && { dataKey: dataKey.buffer }),
});

export const epochDocument = async (provider: KeyProvider, reference: EpochReference): Promise<EpochDocument> => {
  const key = await provider.unlock(reference);
  return {
    epoch: reference.epoch,
    provider: provider.kind,
    keyId: reference.keyId,
    ...(reference.dataKey && { dataKey: new Binary(reference.dataKey) }),
    check: checkOf(key, reference.instance, reference.epoch),
    state: 'made',
    made: new Date(),
  };
};

/** The key of an epoch, checked to be the one that was meant. Throws like `KeyProvider.unlock`. */
export const unlockChecked = async (
  provider: KeyProvider,
  instance: InstanceId,
  document: EpochDocument,
): Promise<KeyObject> => {
  if (document.provider !== provider.kind)
    throw new TrailError(
      'KEY_UNAVAILABLE',
      `epoch key ${document.epoch} of ${instance} is kept by ${document.provider}, not by ${provider.kind}: ` +
        'set TRAILKEEPER_KEYS to the provider that holds it',
    );
  const reference = referenceOf(instance, document);
  const key = await provider.unlock(reference);
  const check = checkOf(key, instance, document.epoch);
  if (timingSafeEqual(Buffer.from(check), Buffer.from(document.check))) return key;
  provider.forget(reference);
  throw new TrailError(
    'KEY_UNAVAILABLE',
    `epoch key ${document.epoch} of ${instance} is not the one that its data is under: ` +
      'the keys are those of another installation; restore the right ones',
  );
};

const wrapContext = (instance: string, epoch: number, name: string): string =>
  `trailkeeper/wrap/v1/${instance}/${epoch}/${name}`;

export interface Wrapped {
  readonly epoch: number;
  readonly wrapped: Buffer;
}

export class Keyring {
  readonly instance: InstanceId;
  readonly #provider: KeyProvider;
  readonly #keyrings: Collection<KeyringDocument>;
  readonly #onChange: () => void;
  readonly #nowMs: () => number;
  #document: KeyringDocument | undefined;
  #readAtMs = -Infinity;
  readonly #keys = new Map<number, KeyObject>();

  /** `onChange`: drop whatever came from the keyring as it was. `nowMs`: any steady clock. */
  constructor(
    instance: InstanceId,
    provider: KeyProvider,
    client: MongoClient,
    onChange: () => void = () => undefined,
    nowMs: () => number = () => performance.now(),
  ) {
    this.instance = instance;
    this.#provider = provider;
    this.#keyrings = keyringsOf(client);
    this.#onChange = onChange;
    this.#nowMs = nowMs;
  }

  /** Of the keyring that was read last. */
  get generation(): number | undefined {
    return this.#document?.generation;
  }

  /** Whether what is held may still be used without asking MongoDB. */
  get isFresh(): boolean {
    return this.#nowMs() - this.#readAtMs < keyringFreshMs;
  }

  /** The keyring, at most `keyringFreshMs` old; undefined for an instance that has no keys yet. */
  async read(): Promise<KeyringDocument | undefined> {
    return this.#document && this.isFresh ? this.#document : this.refresh();
  }

  /** The keyring as a majority holds it now. */
  async refresh(): Promise<KeyringDocument | undefined> {
    const readAtMs = this.#nowMs();
    const document = (await this.#keyrings.findOne({ _id: this.instance })) ?? undefined;
    const known = this.#document;
    // Of two reads under way at once the older may come last.
    if (known && document && document.generation < known.generation && readAtMs < this.#readAtMs) return known;
    this.#document = document;
    this.#readAtMs = readAtMs;
    if (known?.generation !== document?.generation) this.#changed();
    return document;
  }

  /** The keyring, with a first epoch where the instance has none. `client` may insert. */
  async ensure(): Promise<KeyringDocument> {
    const present = await this.read();
    if (present) return present;
    const reference = await this.#provider.createEpoch(this.instance, 1);
    const first = await epochDocument(this.#provider, reference);
    const document: KeyringDocument = {
      _id: this.instance,
      instance: this.instance,
      generation: 1,
      index: -1,
      current: 1,
      epochs: [{ ...first, state: 'live' }],
      at: writtenNow,
    };
    try {
      await this.#keyrings.insertOne(document);
    } catch (error) {
      // Another process was first; what it wrote is what counts.
      if (!(error instanceof MongoServerError && error.code === 11_000)) throw error;
      this.#provider.forget(reference);
    }
    const kept = await this.refresh();
    if (!kept) throw new TrailError('TRAIL_UNAVAILABLE', 'the keyring that was just written could not be read back');
    await unlockChecked(this.#provider, this.instance, kept.epochs[0]!);
    return kept;
  }

  stateOf(keyring: KeyringDocument, epoch: number): EpochState | undefined {
    return keyring.epochs.find((one) => one.epoch === epoch)?.state;
  }

  /** Wraps under the current epoch. What rests on it must first see the keyring again after it is written (`isOpen`). */
  async wrap(name: string, plaintext: Uint8Array): Promise<Wrapped> {
    const { current } = await this.ensure();
    const key = await this.key(current);
    return { epoch: current, wrapped: seal(key, plaintext, wrapContext(this.instance, current, name)) };
  }

  /** Throws KEY_UNAVAILABLE where the epoch key is gone, or the bytes are not what was wrapped under this name. */
  async unwrap(epoch: number, name: string, wrapped: Uint8Array): Promise<Buffer> {
    const secret = unseal(await this.key(epoch), wrapped, wrapContext(this.instance, epoch, name));
    if (secret) return secret;
    throw new TrailError('KEY_UNAVAILABLE', `the wrapped key ${name} does not open`);
  }

  /** Throws like `unlockChecked`; an epoch that is being destroyed, or was, is gone. */
  async key(epoch: number): Promise<KeyObject> {
    const known = this.#keys.get(epoch);
    if (known && this.isFresh) return known;
    let document = (await this.read())?.epochs.find((one) => one.epoch === epoch);
    // Made since the keyring was read.
    document ??= (await this.refresh())?.epochs.find((one) => one.epoch === epoch);
    if (!document)
      throw new TrailError('KEY_UNAVAILABLE', `the keyring of ${this.instance} names no epoch key ${epoch}`);
    if (isGone(document.state)) {
      this.#provider.forget(referenceOf(this.instance, document));
      throw new TrailError('KEY_UNAVAILABLE', `epoch key ${epoch} of this instance was destroyed`);
    }
    const key = known ?? (await unlockChecked(this.#provider, this.instance, document));
    this.#keys.set(epoch, key);
    this.#provider.uses?.used(this.instance, epochKeyId(epoch));
    return key;
  }

  #changed(): void {
    this.#keys.clear();
    for (const document of this.#document?.epochs ?? [])
      if (isGone(document.state)) this.#provider.forget(referenceOf(this.instance, document));
    this.#onChange();
  }
}

/** Nothing under such an epoch counts any more, whether or not its key is gone yet. */
export const isGone = (state: EpochState): boolean => {
  switch (state) {
    case 'made':
    case 'live':
    case 'closed':
      return false;
    case 'destroying':
    case 'pending':
    case 'destroyed':
      return true;
    default:
      return state satisfies never;
  }
};
