/**
 * Write-once storage of one instance's archive. An object is written under a name that nothing stands under, and never
 * again: the first that was written is the object, whatever is laid over it later. One name is renewed instead,
 * `checkpoint`, which third-party tools read; nothing of ours believes it.
 */
export interface StoredObject {
  readonly name: string;
  readonly sizeBytes: number;
  /** Id of the version that is the object, where the storage keeps versions. */
  readonly version?: string;
}

export interface ListedObject extends StoredObject {
  /** Whether something was laid over it, or it was hidden by a deletion: nobody of ours does that. */
  readonly covered: boolean;
  /** Until when nobody can remove it, where the storage knows of such locks and it was asked for. */
  readonly retainUntil?: Date;
}

export interface ArchiveStore {
  /** Where it is, for messages: no credential. */
  readonly place: string;
  /**
   * Returns when the object is durable and was read back. The same bytes again change nothing. Throws ARCHIVE_CONFLICT
   * where others stand under the name, ARCHIVE_UNAVAILABLE where it can't be known to be kept.
   */
  put(name: string, bytes: Uint8Array): Promise<StoredObject>;
  /** Renews an object that is no part of the evidence. */
  renew(name: string, bytes: Uint8Array): Promise<void>;
  /** The bytes that were written first under the name (or those of a version of it); undefined for what is not there. */
  get(name: string, version?: string): Promise<Buffer | undefined>;
  /** The bytes of a renewed object, as they were written last. */
  newest(name: string): Promise<Buffer | undefined>;
  /** Objects whose names begin with the prefix, by name. `locks`: with the ends of their locks. */
  list(prefix: string, options?: { readonly locks?: boolean }): AsyncIterable<ListedObject>;
  /** The last name below a folder (its name ends in a slash), by name; undefined where it is empty. */
  last(folder: string): Promise<string | undefined>;
  /** Where the storage has locks: nobody removes the object before this time. Never shortens a lock. */
  lock?(object: StoredObject, until: Date): Promise<void>;
}

const namePattern = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;

/** Names lead nowhere but into the archive. Throws a RangeError. */
export const requireName = (name: string): string => {
  if (!namePattern.test(name) || name.length > 512) throw new RangeError('not a name of an object');
  return name;
};
