/**
 * An archive in an S3 bucket with Object Lock in COMPLIANCE mode. Objects are written with If-None-Match: *, so that
 * nothing is ever laid over one by us, and read by version id, the oldest version being the object: whoever may write
 * to the bucket can lay versions and delete markers over it, but can't remove it before its lock ends.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html and object-lock.html
 */
import {
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { setTimeout as delay } from 'node:timers/promises';
import { ArchiveError, type ArchiveErrorCode } from './errors.ts';
import { requireName, type ArchiveStore, type ListedObject, type StoredObject } from './store.ts';

export interface S3Options {
  readonly bucket: string;
  /** Before every name, with a slash at its end; empty for a bucket of the instance's own. */
  readonly prefix: string;
  readonly region: string;
  /** Of a storage that is not AWS. */
  readonly endpoint?: string;
  /** Without them the SDK's own chain is asked (environment, profile, role of the machine). */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** How long an object is locked when it is written; extended by `lock`. */
  readonly lockMs: number;
  readonly nowMs: () => number;
}

const requestTimeoutMs = 30_000;
const connectionTimeoutMs = 5000;
const conflictAttempts = 5;
const conflictRetryMs = 200;

interface Version {
  readonly id: string;
  readonly sizeBytes: number;
  readonly covered: boolean;
}

export const s3Store = (options: S3Options): ArchiveStore & { close(): void } => {
  const { bucket, prefix } = options;
  const client = new S3Client({
    region: options.region,
    ...(options.endpoint !== undefined && { endpoint: options.endpoint, forcePathStyle: true }),
    ...(options.credentials && { credentials: { ...options.credentials } }),
    maxAttempts: 3,
    requestHandler: {
      requestTimeout: requestTimeoutMs,
      connectionTimeout: connectionTimeoutMs,
      throwOnRequestTimeout: true,
    },
  });
  const keyOf = (name: string): string => prefix + requireName(name);
  const nameOf = (key: string): string => key.slice(prefix.length);
  const retention = () => ({
    ObjectLockMode: 'COMPLIANCE' as const,
    ObjectLockRetainUntilDate: new Date(options.nowMs() + options.lockMs),
  });

  let checked: Promise<void> | undefined;
  /** Without Object Lock nothing would keep what is written: better no archive than one that only looks like it. */
  const requireObjectLock = (): Promise<void> => {
    checked ??= client
      .send(new GetObjectLockConfigurationCommand({ Bucket: bucket }))
      .then(({ ObjectLockConfiguration: found }) => {
        if (found?.ObjectLockEnabled !== 'Enabled') throw withoutLock(bucket);
      })
      .catch((error: unknown) => {
        checked = undefined;
        if (error instanceof S3ServiceException && error.name === 'ObjectLockConfigurationNotFoundError')
          throw withoutLock(bucket);
        throw failureOf(error, bucket);
      });
    return checked;
  };

  async function* versions(start: string): AsyncGenerator<{ key: string; version: Version }> {
    let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
    let open: { key: string; version: Version | undefined; latest: boolean; count: number } | undefined;
    for (;;) {
      const page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: start, ...marker }));
      const found = [
        ...(page.Versions ?? []).map((one) => ({
          key: one.Key!,
          id: one.VersionId,
          sizeBytes: one.Size ?? 0,
          latest: one.IsLatest === true,
        })),
        ...(page.DeleteMarkers ?? []).map((one) => ({
          key: one.Key!,
          id: undefined,
          sizeBytes: 0,
          latest: one.IsLatest === true,
        })),
      ].toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      // A stable sort: the versions of a name stay in the order of the answer, the newest first.
      for (const one of found) {
        if (open && open.key !== one.key) {
          if (open.version) yield { key: open.key, version: { ...open.version, covered: open.count > 1 } };
          open = undefined;
        }
        open ??= { key: one.key, version: undefined, latest: false, count: 0 };
        open.count += 1;
        if (one.id !== undefined) open.version = { id: one.id, sizeBytes: one.sizeBytes, covered: false };
      }
      if (!page.IsTruncated) break;
      marker = {
        ...(page.NextKeyMarker !== undefined && { KeyMarker: page.NextKeyMarker }),
        ...(page.NextVersionIdMarker !== undefined && { VersionIdMarker: page.NextVersionIdMarker }),
      };
    }
    if (open?.version) yield { key: open.key, version: { ...open.version, covered: open.count > 1 } };
  }

  const oldest = async (name: string): Promise<Version | undefined> => {
    const key = keyOf(name);
    for await (const found of versions(key)) {
      if (found.key === key) return found.version;
      if (found.key > key) break;
    }
    return undefined;
  };

  const read = async (name: string, version?: string): Promise<Buffer | undefined> => {
    try {
      const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(name), VersionId: version }));
      return Buffer.from(await answer.Body!.transformToByteArray());
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw failureOf(error, name);
    }
  };

  const get = async (name: string, version?: string): Promise<Buffer | undefined> => {
    try {
      const found = version ?? (await oldest(name))?.id;
      return found === undefined ? undefined : await read(name, found);
    } catch (error) {
      throw failureOf(error, name);
    }
  };

  /** The version that was written, undefined where something stands under the name already. */
  const write = async (name: string, bytes: Uint8Array): Promise<string | undefined> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const written = await client.send(
          new PutObjectCommand({ Bucket: bucket, Key: keyOf(name), Body: bytes, IfNoneMatch: '*', ...retention() }),
        );
        if (written.VersionId === undefined) throw withoutLock(bucket);
        return written.VersionId;
      } catch (error) {
        const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
        if (status === 412) return undefined;
        // Another write of the same name is under way.
        if (status !== 409 || attempt === conflictAttempts) throw failureOf(error, name);
        await delay(conflictRetryMs);
      }
    }
  };

  return {
    place: `s3://${bucket}/${prefix}`.replace(/\/$/, ''),
    async put(name, bytes) {
      requireName(name);
      await requireObjectLock();
      const written = await write(name, bytes);
      // By version id, and where the name was taken, the one that was written first.
      const version =
        written ?? (await oldest(name).catch((error: unknown) => Promise.reject(failureOf(error, name))))?.id;
      const kept = version === undefined ? undefined : await read(name, version);
      if (version === undefined || !kept)
        throw new ArchiveError('ARCHIVE_UNAVAILABLE', `${name} was written but can't be read back`, { object: name });
      if (!kept.equals(bytes))
        throw new ArchiveError('ARCHIVE_CONFLICT', `${name} holds other bytes than those to be written`, {
          object: name,
        });
      return { name, sizeBytes: bytes.length, version };
    },
    async renew(name, bytes) {
      await requireObjectLock();
      try {
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: keyOf(name), Body: bytes }));
      } catch (error) {
        throw failureOf(error, name);
      }
    },
    get,
    newest: (name) => read(requireName(name)),
    async *list(start, { locks = false } = {}): AsyncGenerator<ListedObject> {
      try {
        for await (const { key, version } of versions(prefix + start)) {
          const retainUntil = locks ? await lockOf(client, bucket, key, version.id) : undefined;
          const { id, sizeBytes, covered } = version;
          yield { name: nameOf(key), sizeBytes, version: id, covered, ...(retainUntil && { retainUntil }) };
        }
      } catch (error) {
        throw failureOf(error, start);
      }
    },
    async last(folder) {
      try {
        return await lastBelow(client, bucket, prefix + folder, nameOf);
      } catch (error) {
        throw failureOf(error, folder);
      }
    },
    async lock({ name, version }: StoredObject, until) {
      try {
        const locked = version === undefined ? undefined : await lockOf(client, bucket, keyOf(name), version);
        if (locked && locked >= until) return;
        await client.send(
          new PutObjectRetentionCommand({
            Bucket: bucket,
            Key: keyOf(name),
            VersionId: version,
            Retention: { Mode: 'COMPLIANCE', RetainUntilDate: until },
          }),
        );
      } catch (error) {
        throw failureOf(error, name);
      }
    },
    close: () => client.destroy(),
  };
};

const lockOf = async (client: S3Client, bucket: string, key: string, version: string): Promise<Date | undefined> => {
  try {
    const { Retention } = await client.send(
      new GetObjectRetentionCommand({ Bucket: bucket, Key: key, VersionId: version }),
    );
    return Retention?.Mode === 'COMPLIANCE' ? Retention.RetainUntilDate : undefined;
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'NoSuchObjectLockConfiguration') return undefined;
    throw error;
  }
};

/** Folder by folder, so that not every name is listed. */
const lastBelow = async (
  client: S3Client,
  bucket: string,
  folder: string,
  nameOf: (key: string) => string,
): Promise<string | undefined> => {
  let object: string | undefined;
  const folders: string[] = [];
  let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (;;) {
    const page = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: folder, Delimiter: '/', ...marker }),
    );
    folders.push(...(page.CommonPrefixes ?? []).flatMap(({ Prefix }) => (Prefix === undefined ? [] : [Prefix])));
    for (const { Key } of page.Versions ?? [])
      if (Key !== undefined && (object === undefined || Key > object)) object = Key;
    if (!page.IsTruncated) break;
    marker = {
      ...(page.NextKeyMarker !== undefined && { KeyMarker: page.NextKeyMarker }),
      ...(page.NextVersionIdMarker !== undefined && { VersionIdMarker: page.NextVersionIdMarker }),
    };
  }
  for (const below of folders.toSorted().toReversed()) {
    if (object !== undefined && object > below) break;
    const found = await lastBelow(client, bucket, below, nameOf);
    if (found !== undefined) return found;
  }
  return object === undefined ? undefined : nameOf(object);
};

const isAbsent = (error: unknown): boolean =>
  error instanceof S3ServiceException && ['NoSuchKey', 'NoSuchVersion', 'NotFound'].includes(error.name);

const withoutLock = (bucket: string): ArchiveError =>
  new ArchiveError(
    'ARCHIVE_INVALID',
    `the bucket ${bucket} has no Object Lock: an archive needs one that was made with it (docs/archive.md)`,
  );

const refusals: ReadonlySet<string> = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'NoSuchBucket',
  'PermanentRedirect',
  'CredentialsProviderError',
]);

/** The SDK's messages are left out: they may repeat what was sent. */
const failureOf = (error: unknown, name: string): ArchiveError => {
  if (error instanceof ArchiveError) return error;
  // A name of ours that is none: a defect, not the storage's.
  if (error instanceof RangeError) throw error;
  const kind = error instanceof Error ? error.name : 'unknown';
  const refused = refusals.has(kind) || (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 403);
  const code: ArchiveErrorCode = refused ? 'ARCHIVE_REFUSED' : 'ARCHIVE_UNAVAILABLE';
  const what = refused ? 'the storage refuses it' : "the storage can't be reached or does not take it now";
  return new ArchiveError(code, `${name}: ${what} (${kind})`, { cause: error });
};
