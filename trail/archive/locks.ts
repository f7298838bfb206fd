/**
 * Keeps the locks of an archive's objects from running out. They are short, so that what may be destroyed one day is not kept
 * for longer than was decided, and extended again and again while nothing else was. A pass may be cut off anywhere, and
 * two may run at once: a lock is only ever made longer.
 */
import type { ArchiveStore } from './store.ts';
import { latestCheckpointName } from './names.ts';

export interface ExtendLocksOptions {
  /** Until when objects are locked then. */
  readonly until: Date;
  /** Locks that end later are left as they are. */
  readonly dueBefore: Date;
  readonly signal?: AbortSignal;
}

/** How many locks were extended; 0 where the storage has none. */
export const extendLocks = async (
  store: ArchiveStore,
  { until, dueBefore, signal }: ExtendLocksOptions,
): Promise<number> => {
  if (!store.lock) return 0;
  let extended = 0;
  for await (const object of store.list('', { locks: true })) {
    if (signal?.aborted) break;
    // The renewed name is no evidence.
    if (object.name === latestCheckpointName) continue;
    if (object.retainUntil && object.retainUntil >= dueBefore) continue;
    await store.lock(object, until);
    extended += 1;
  }
  return extended;
};
