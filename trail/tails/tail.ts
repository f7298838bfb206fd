import type { MongoClient } from 'mongodb';
import type { Entry } from '../../schema/event.ts';
import type { InstanceId } from '../../schema/ids.ts';

/** One entry as a tail sees it. */
export interface TailedEntry {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly leaf: Uint8Array;
  readonly entry: Entry;
  /** First index of its segment. */
  readonly segment: number;
}

/** Consecutive entries of one log. */
export interface TailedBatch {
  readonly instance: InstanceId;
  readonly first: number;
  readonly entries: readonly TailedEntry[];
}

/**
 * A durable consumer of every instance's log: in order, at least once. Its effects must be idempotent, since the last
 * batch is given again after a crash.
 */
export interface Tail {
  readonly name: string;
  /** May read segments, and write the tail's cursor and lease. */
  readonly client: MongoClient;
  apply(batch: TailedBatch): Promise<void>;
}
