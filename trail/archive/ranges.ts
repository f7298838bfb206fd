/**
 * The ranges of an archive from its first to the newest whose checkpoint is signed. They are found from the newest
 * backwards, since each manifest names the digest of the one before it.
 */
import { ArchiveError, altered } from './errors.ts';
import { newestCheckpoint, readManifest, type ArchivedCheckpoint, type KeyTrust } from './head.ts';
import { manifestName } from './names.ts';
import type { Range } from './replay.ts';
import type { ArchiveStore } from './store.ts';

export interface ArchiveRanges {
  readonly newest: ArchivedCheckpoint;
  /** Sizes at which ranges end, ascending, with the digests of their manifests: a few bytes a range. */
  readonly ends: readonly RangeEnd[];
}

export interface RangeEnd {
  readonly size: number;
  readonly sha256: string;
}

/** Undefined for an archive without any checkpoint. Throws ARCHIVE_ALTERED where the chain is broken. */
export const findRanges = async (store: ArchiveStore, trust: KeyTrust): Promise<ArchiveRanges | undefined> => {
  const newest = await newestCheckpoint(store, trust);
  if (!newest) return undefined;
  const ends: RangeEnd[] = [{ size: newest.manifest.size, sha256: newest.sha256 }];
  let { previous } = newest.manifest;
  while (previous) {
    ends.push(previous);
    ({ previous } = (await readRange(store, previous)).manifest);
  }
  return { newest: newest.checkpoint, ends: ends.toReversed() };
};

/** Throws ARCHIVE_ALTERED where the manifest is missing or not the one that was named. */
export const readRange = async (store: ArchiveStore, { size, sha256 }: RangeEnd): Promise<Range> => {
  const range = await readManifest(store, size);
  if (!range) throw altered(manifestName(size), 'it is missing');
  if (range.sha256 !== sha256) throw altered(manifestName(size), 'it is not the one that the next range names');
  return range;
};

/** For an archive that must hold something. */
export const requireRanges = async (store: ArchiveStore, trust: KeyTrust): Promise<ArchiveRanges> => {
  const ranges = await findRanges(store, trust);
  if (ranges) return ranges;
  throw new ArchiveError('ARCHIVE_INVALID', `${store.place} holds no archive: there is no checkpoint in it`);
};
