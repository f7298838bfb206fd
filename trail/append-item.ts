import type { EventId } from '../schema/ids.ts';
import type { Refusal } from './errors.ts';
import type { Unsealed } from './plain-parts.ts';

/** What an emitter keeps: where its event stands, and the checkpoint that covers it. */
export interface Receipt {
  readonly id: EventId;
  readonly index: number;
  /** RFC 6962 leaf hash, hex. */
  readonly leafHash: string;
  /** Signed checkpoint of a size over `index`. */
  readonly checkpoint: string;
}

export type AppendResult =
  | { readonly status: 'accepted' | 'duplicate'; readonly receipt: Receipt }
  | { readonly status: 'refused'; readonly refusal: Refusal };

/** Where an event ended up in the log, before its checkpoint is anchored. */
export interface Placement {
  readonly status: 'accepted' | 'duplicate';
  readonly index: number;
  /** Hex. */
  readonly leafHash: string;
}

/** One call of `append`: waits for all of its events together, since a promise for each was a tenth of an append. */
export class AppendCall {
  readonly items: readonly AppendItem[];
  /** When the last event was settled; never rejects. */
  readonly settled: Promise<void>;
  readonly #settle: () => void;
  #open: number;
  #failure: Error | undefined;

  constructor(events: readonly Unsealed[], ifControlEpoch: number | undefined) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#settle = resolve;
    this.#open = events.length;
    this.items = events.map((unsealed) => new AppendItem(this, unsealed, ifControlEpoch));
    if (events.length === 0) resolve();
  }

  /** The first of the failures by which the fate of an event is not known. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Called once for each event. */
  itemSettled(failure?: Error): void {
    this.#failure ??= failure;
    this.#open -= 1;
    if (this.#open === 0) this.#settle();
  }
}

/** One event between `append` and its receipt. Exactly one of the three calls ends it; further ones change nothing. */
export class AppendItem {
  readonly unsealed: Unsealed;
  /** The event may be appended only while the control epoch is not past this. */
  readonly ifControlEpoch: number | undefined;
  readonly #call: AppendCall;
  #outcome: Placement | Refusal | Error | undefined;

  constructor(call: AppendCall, unsealed: Unsealed, ifControlEpoch: number | undefined) {
    this.#call = call;
    this.unsealed = unsealed;
    this.ifControlEpoch = ifControlEpoch;
  }

  /** Undefined until it is settled. */
  get outcome(): Placement | Refusal | Error | undefined {
    return this.#outcome;
  }

  place(placement: Placement): void {
    this.#end(placement);
  }

  refuse(refusal: Refusal): void {
    this.#end(refusal);
  }

  fail(error: Error): void {
    this.#end(error, error);
  }

  #end(outcome: Placement | Refusal | Error, failure?: Error): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#call.itemSettled(failure);
  }
}
