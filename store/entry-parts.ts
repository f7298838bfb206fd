/** Opens payload parts of control entries, checked against what the entries commit to. */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../schema/ids.ts';
import { TrailError } from '../trail/errors.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import { Secrets } from '../trail/keys/secrets.ts';
import { joinParts, PartReader, type PlacedEntry } from '../trail/parts.ts';
import type { PartState } from './change.ts';

export class EntryParts {
  readonly #client: MongoClient;
  readonly #keys: KeyProvider;
  readonly #opened = new Map<InstanceId, { readonly secrets: Secrets; readonly reader: PartReader }>();

  constructor(client: MongoClient, keys: KeyProvider) {
    this.#client = client;
    this.#keys = keys;
  }

  /**
   * Throws where MongoDB or the keys are away. A part that was altered does not throw: it voids its own entry, and must
   * not hold up those that follow, the kill switch among them.
   */
  async content(instance: InstanceId, placed: PlacedEntry, name: string): Promise<PartState> {
    if (!placed.entry.parts.some((part) => part.name === name)) return { state: 'absent' };
    let opened: Awaited<ReturnType<PartReader['open']>>;
    try {
      opened = await this.#open(instance).reader.open([placed]);
    } catch (error) {
      if (error instanceof TrailError && error.code === 'LOG_INCONSISTENT') return { state: 'altered' };
      throw error;
    }
    const bytes = joinParts(placed.entry, opened).get(name);
    return bytes === undefined
      ? { state: 'erased' }
      : { state: 'present', content: JSON.parse(bytes.toString('utf8')) as unknown };
  }

  /** The instance's secrets, under which its parts are. */
  secretsOf(instance: InstanceId): Secrets {
    return this.#open(instance).secrets;
  }

  #open(instance: InstanceId) {
    const present = this.#opened.get(instance);
    if (present !== undefined) return present;
    const secrets = new Secrets(instance, this.#keys, this.#client);
    const opened = { secrets, reader: new PartReader(instance, secrets, this.#client) };
    this.#opened.set(instance, opened);
    return opened;
  }
}
