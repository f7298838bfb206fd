import type { EventId } from '../schema/ids.ts';
import type { Refusal } from './errors.ts';
import type { Unsealed } from './seal.ts';

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
  readonly leafHash: Buffer;
}

/** One event between `append` and its receipt. Exactly one of the three calls ends it. */
export interface AppendItem {
  readonly unsealed: Unsealed;
  /** The event may be appended only while the control epoch is not past this. */
  readonly ifControlEpoch: number | undefined;
  place(placement: Placement): void;
  refuse(refusal: Refusal): void;
  fail(error: Error): void;
}
