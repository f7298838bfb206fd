/** What applying one control entry means: a capability looks at the state and says what is to be done. */
import type { MongoClient } from 'mongodb';
import type { Entry } from '../schema/event.ts';
import type { InstanceId } from '../schema/ids.ts';
import type { ErrorCode } from '../schema/taxonomy.ts';
import type { Secrets } from '../trail/keys/secrets.ts';

export interface AppliedEntry {
  /** Of the applier's duty. */
  readonly client: MongoClient;
  readonly instance: InstanceId;
  readonly index: number;
  readonly entry: Entry;
  /** Of the instance. */
  readonly secrets: Secrets;
  /** Content of a payload part, already checked against the entry's commitment. */
  part(name: string): Promise<PartState>;
}

export type PartState =
  | { readonly state: 'present'; readonly content: unknown }
  | { readonly state: 'absent' }
  | { readonly state: 'erased' }
  | { readonly state: 'altered' };

/**
 * `write` changes one document, so that it is done or not done, never half. It is called only where no later control
 * entry was applied since the state was looked at.
 */
export type Plan =
  | { readonly kind: 'write'; readonly write: () => Promise<void> }
  | { readonly kind: 'void'; readonly reason: VoidReason };

/** Why an entry has no effect. The message names ids and digests, never content. */
export interface VoidReason {
  readonly code: ErrorCode;
  readonly message: string;
}

export const toWrite = (write: () => Promise<void>): Plan => ({ kind: 'write', write });
export const toVoid = (code: ErrorCode, message: string): Plan => ({ kind: 'void', reason: { code, message } });

/** The void of an entry whose part is not what it must be. `shape` says what is expected. */
export const badPart = (name: string, found: PartState, shape: string): Plan => badPartPlans[found.state](name, shape);

const badPartPlans: Readonly<Record<PartState['state'], (name: string, shape: string) => Plan>> = {
  present: (name, shape) => toVoid('INVALID_REQUEST', `the part ${name} is not ${shape}`),
  absent: (name, shape) => toVoid('INVALID_REQUEST', `the part ${name} (${shape}) is missing`),
  erased: (name) => toVoid('CONTENT_ERASED', `the part ${name} was erased before the entry was applied`),
  altered: (name) => toVoid('MALFORMED_RESPONSE', `the part ${name} in the database is not what the entry commits to`),
};
