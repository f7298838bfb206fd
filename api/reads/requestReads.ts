/**
 * What one request read. Resolvers note it as they go; `settle` records it, and the answer leaves only after that.
 * A subscription is settled when it opens and when it closes.
 */
import type { Json } from '../../schema/json.ts';
import type { Operation } from '../../schema/operations.ts';
import type { Caller, InstanceServices } from '../context.ts';
import type { ReadField, ReadRecords } from './readRecords.ts';

export class RequestReads {
  readonly #instance: InstanceServices;
  readonly #caller: Caller;
  readonly #records: ReadRecords;
  readonly #fields: ReadField[] = [];
  #skeletons = 0;
  readonly #payloads = new Set<number>();
  readonly #missed: Operation[] = [];
  #subscribed = false;

  constructor(instance: InstanceServices, caller: Caller, records: ReadRecords) {
    this.#instance = instance;
    this.#caller = caller;
    this.#records = records;
  }

  /** A root field of the query that is about to be answered. */
  asked(field: string, args: Json): void {
    this.#fields.push({ field, arguments: args });
  }

  skeletons(entries: number): void {
    this.#skeletons += entries;
  }

  /** Indexes of the entries whose payload is about to be opened. */
  payloads(indexes: readonly number[]): void {
    for (const index of indexes) this.#payloads.add(index);
  }

  /** What was asked for is not there: who looks for what others have leaves a trace, whatever it was. */
  missed(operation: Operation): void {
    this.#missed.push(operation);
  }

  /** Records what was read. Throws where it can't be recorded: the answer must then not leave. */
  async settle(): Promise<void> {
    for (const operation of this.#missed.splice(0)) await this.#records.missed(this.#instance, this.#caller, operation);
    if (this.#subscribed) return;
    const [entries, skeletons] = [this.#payloads.size, this.#skeletons];
    this.#payloads.clear();
    this.#skeletons = 0;
    if (entries > 0)
      await this.#records.payloads(this.#instance, this.#caller, { kind: 'payloads', entries, fields: this.#fields });
    else if (skeletons > 0)
      await this.#records.skeletons(this.#instance, this.#caller, { requests: 1, entries: skeletons });
  }

  /** Before the first event of a subscription leaves. `payloads`: whether it asks for content that the caller may see. */
  async opened(payloads: boolean): Promise<void> {
    this.#subscribed = true;
    const fields = this.#fields;
    if (payloads)
      await this.#records.payloads(this.#instance, this.#caller, { kind: 'subscription-opened', entries: 0, fields });
    else await this.#records.skeletons(this.#instance, this.#caller, { requests: 1, entries: 0 });
  }

  /** Before the first byte of an evidence pack leaves. `entries`: how many its scope has. */
  async exported(id: string, entries: number): Promise<void> {
    const fields = [{ field: 'exportEvidence', arguments: { id } }];
    await this.#records.payloads(this.#instance, this.#caller, { kind: 'export', entries, fields });
  }

  /** After the last event of a subscription left. */
  async closed(payloads: boolean): Promise<void> {
    const fields = this.#fields;
    const entries = this.#skeletons;
    if (payloads)
      await this.#records.payloads(this.#instance, this.#caller, { kind: 'subscription-closed', entries, fields });
    else if (entries > 0) await this.#records.skeletons(this.#instance, this.#caller, { requests: 0, entries });
  }
}
