/**
 * The key of the look-ups by original id (subjects, identities): another one with every epoch, so that what was erased
 * can't be looked up in an old backup. While a rotation moves the rows, they are looked for under the new key and then
 * under the one before.
 */
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { hmacSha256 } from '../../domain/hmac.ts';
import type { KeyringDocument } from './keyring.ts';
import { secretName, type Secrets } from './secrets.ts';
import { seal, unseal } from './sealed.ts';

/** What a row is about: the id that somebody or something has in a system. */
export interface OriginalId {
  readonly system: string;
  readonly kind: string;
  readonly id: string;
}

/** Rows of two maps can't be put together: each has keys of its own. The names are part of the format. */
export type LookupMap = 'lookup' | 'identity';

export class LookupKey {
  readonly epoch: number;
  readonly #mac: Buffer;
  readonly #box: KeyObject;

  constructor(epoch: number, secret: Uint8Array, map: LookupMap) {
    const derive = (info: string) =>
      Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `trailkeeper/${map}-${info}/v1`, 32));
    this.epoch = epoch;
    this.#mac = derive('mac');
    this.#box = createSecretKey(derive('box'));
  }

  /** `<instance>/<HMAC in hex>`: says to nobody without the key whose row it is. */
  row(instance: string, { system, kind, id }: OriginalId): string {
    return `${instance}/${hmacSha256(this.#mac, Buffer.from(`${system}\0${kind}\0${id}`, 'utf8')).toString('hex')}`;
  }

  /** Content of a row, which opens in this row alone. */
  seal(row: string, content: unknown): Buffer {
    return seal(this.#box, Buffer.from(JSON.stringify(content)), row);
  }

  /** Undefined where it is another row's, or under another key. */
  open(row: string, sealed: Uint8Array): unknown {
    const bytes = unseal(this.#box, sealed, row);
    return bytes && (JSON.parse(bytes.toString('utf8')) as unknown);
  }
}

/** The current key first, then the one before while rows are being moved. */
export type LookupKeyPair = readonly [LookupKey, ...LookupKey[]];

export interface Lookup {
  /** The current epoch, undefined for an instance that has no keys. */
  readonly epoch: number | undefined;
  /** Undefined where none was made yet. */
  readonly keys: LookupKeyPair | undefined;
}

export class LookupKeys {
  readonly #secrets: Secrets;
  readonly #map: LookupMap;
  #made: { readonly changes: number; readonly lookup: Lookup & { readonly keys: LookupKeyPair } } | undefined;

  constructor(secrets: Secrets, map: LookupMap) {
    this.#secrets = secrets;
    this.#map = map;
  }

  async find(): Promise<Lookup> {
    return this.#get(await this.#secrets.keyring.read(), (name) => this.#secrets.find([name]));
  }

  /** Makes the key where there is none. */
  async ensure(): Promise<Lookup & { readonly keys: LookupKeyPair }> {
    const lookup = await this.#get(await this.#secrets.keyring.ensure(), (name) => this.#secrets.ensure([name]));
    return lookup as Lookup & { readonly keys: LookupKeyPair };
  }

  /** Whether the look-up moved to another key since this was got. Asks MongoDB. */
  async moved({ epoch }: Pick<Lookup, 'epoch'>): Promise<boolean> {
    return (await this.#secrets.keyring.refresh())?.current !== epoch;
  }

  async #get(
    keyring: KeyringDocument | undefined,
    load: (name: string) => Promise<Map<string, Buffer>>,
  ): Promise<Lookup> {
    if (!keyring) return { epoch: undefined, keys: undefined };
    const secrets = this.#secrets;
    const { changes } = secrets;
    if (this.#made?.changes === changes) return this.#made.lookup;
    const { current, previous } = keyring;
    const found = await load(secretName.lookup(current));
    const before = previous === undefined ? undefined : secretName.lookup(previous);
    if (before !== undefined) for (const [key, secret] of await secrets.find([before])) found.set(key, secret);
    const [first, ...rest] = [current, ...(previous === undefined ? [] : [previous])].flatMap((epoch) => {
      const secret = found.get(secretName.lookup(epoch));
      return secret ? [new LookupKey(epoch, secret, this.#map)] : [];
    });
    if (!first) return { epoch: current, keys: undefined };
    const lookup = { epoch: current, keys: [first, ...rest] as const };
    if (changes === secrets.changes) this.#made = { changes, lookup };
    return lookup;
  }
}
