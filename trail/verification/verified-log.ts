/** A log as self-verification reads it: with the duty of a reader, and for payload with the keys that its process holds. */
import type { MongoClient } from 'mongodb';
import type { NoteKey } from '../../domain/tree/note.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { PartReader } from '../parts.ts';

export interface VerifiedLog {
  readonly instance: InstanceId;
  /** First line of the log's checkpoints. */
  readonly origin: string;
  /** Keys that may have signed them. */
  readonly keys: readonly NoteKey[];
  /** Reader duty. */
  readonly client: MongoClient;
  /** Absent where the process may not decrypt: boxes are then checked by their digests only. */
  readonly parts?: PartReader;
}
