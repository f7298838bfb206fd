/** Where archives are: a folder with one folder an instance in it, or S3 with a bucket or prefix an instance. */
import { isAbsolute, join } from 'node:path';
import type { InstanceId } from '../../schema/ids.ts';
import type { CheckpointPlace } from '../anchor.ts';
import { ArchiveError } from './errors.ts';
import { folderStore } from './folder-store.ts';
import { newestCheckpoint, type KeyTrust } from './head.ts';
import type { ArchiveStore } from './store.ts';

export type ArchivePlace =
  | { readonly kind: 'folder'; readonly folder: string }
  /** With `{instance}` where the instance's name goes. */
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

const bucketPattern = /^[a-z0-9{][a-z0-9.{}-]{1,61}[a-z0-9}]$/;
const placeholder = '{instance}';

/** `/a/folder` or `s3://bucket[/prefix]`. Undefined for what is neither, or keeps instances together in one place. */
export const parseArchivePlace = (text: string): ArchivePlace | undefined => {
  if (!text.startsWith('s3://')) return isAbsolute(text) ? { kind: 'folder', folder: text } : undefined;
  const [bucket = '', ...prefix] = text.slice('s3://'.length).replace(/\/+$/, '').split('/');
  const filled = bucket.replaceAll(placeholder, 'x');
  if (!bucketPattern.test(bucket) || /[{}]/.test(filled)) return undefined;
  if (prefix.some((part) => !/^[A-Za-z0-9._-]+$/.test(part.replaceAll(placeholder, 'x')) || /^\.+$/.test(part)))
    return undefined;
  if (!text.includes(placeholder)) return undefined;
  return { kind: 's3', bucket, prefix: prefix.map((part) => `${part}/`).join('') };
};

export interface OpenArchiveOptions {
  readonly place: ArchivePlace;
  /** For S3: region, and the address of a storage that is not AWS. */
  readonly region: string;
  readonly endpoint?: string;
  /** The instance's own credential; undefined leaves it to the SDK's chain. */
  readonly credentials?: (
    instance: InstanceId,
  ) => Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string } | undefined>;
  readonly lockMs: number;
  readonly nowMs: () => number;
}

/** The archive of one instance. Throws ArchiveError ARCHIVE_INVALID. */
export const openArchive = async (instance: InstanceId, options: OpenArchiveOptions): Promise<ArchiveStore> => {
  const { place, region, endpoint, lockMs, nowMs } = options;
  if (place.kind === 'folder') return folderStore(join(place.folder, instance));
  const fill = (text: string): string => text.replaceAll(placeholder, instance);
  const bucket = fill(place.bucket);
  if (bucket.length > 63)
    throw new ArchiveError('ARCHIVE_INVALID', `the bucket ${bucket} has a longer name than the 63 characters of S3`);
  const credentials = await options.credentials?.(instance);
  // Only who archives to S3 pays for loading its client.
  const { s3Store } = await import('./s3-store.ts');
  return s3Store({
    bucket,
    prefix: fill(place.prefix),
    region,
    lockMs,
    nowMs,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
  });
};

/** The archive as a place that a writer's log must agree with (trail/anchor.ts). */
export const archivedPlace = (open: () => Promise<ArchiveStore>, trust: () => Promise<KeyTrust>): CheckpointPlace => ({
  name: 'the archive',
  async latest(origin) {
    const newest = await newestCheckpoint(await open(), await trust());
    // A log that goes on after a restore has no checkpoint of its own there until its first range is archived.
    if (!newest || newest.manifest.origin !== origin) return undefined;
    return { size: newest.checkpoint.size, note: newest.checkpoint.note.toString('utf8') };
  },
});
