/** What an archive's storage must do, whether it is a folder or S3: the same tests for both. */
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folderStore } from '../../trail/archive/folder-store.ts';
import { s3Store } from '../../trail/archive/s3-store.ts';
import type { ArchiveStore, ListedObject } from '../../trail/archive/store.ts';
import { isThere, pathOf } from '../setup/programs.ts';
import { gatewayProgram, startGateway, type Credentials, type Gateway } from './gateway.ts';

const gateway = await gatewayProgram();
const dayMs = 86_400_000;
const bytes = (text: string): Buffer => Buffer.from(text);

const all = async (objects: AsyncIterable<ListedObject>): Promise<ListedObject[]> => {
  const found: ListedObject[] = [];
  for await (const object of objects) found.push(object);
  return found;
};

const conformance = (open: () => Promise<ArchiveStore>): void => {
  let store: ArchiveStore;
  beforeAll(async () => {
    store = await open();
  });

  it('keeps what is written, and gives it back', async () => {
    const written = await store.put('a/b/one', bytes('first'));
    expect(written).toMatchObject({ name: 'a/b/one', sizeBytes: 5 });
    expect(await store.get('a/b/one')).toEqual(bytes('first'));
    expect(await store.get('a/b/one', written.version)).toEqual(bytes('first'));
    expect(await store.get('a/b/two')).toBeUndefined();
    expect(await store.get('a/b')).toBeUndefined();
  });

  it('takes the same bytes again as done, and refuses others under the name', async () => {
    await store.put('a/same', bytes('same'));
    await expect(store.put('a/same', bytes('same'))).resolves.toMatchObject({ name: 'a/same', sizeBytes: 4 });
    await expect(store.put('a/same', bytes('else'))).rejects.toMatchObject({
      code: 'ARCHIVE_CONFLICT',
      object: 'a/same',
    });
    expect(await store.get('a/same')).toEqual(bytes('same'));
  });

  it('lets one of many writers of a name win', async () => {
    const settled = await Promise.allSettled(
      Array.from({ length: 8 }, (_, number) => store.put('a/race', bytes(`writer ${number}`))),
    );
    const kept = (await store.get('a/race'))!.toString();
    expect(settled.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    expect(kept).toMatch(/^writer \d$/);
  });

  it('lists by prefix, in the order of the names, and finds the last', async () => {
    const names = ['list/0001/0002', 'list/0001/0010', 'list/0002.p/3', 'list/0002/0001', 'list/0010/0001'];
    for (const name of names.toReversed()) await store.put(name, bytes(name));
    const listed = await all(store.list('list/'));
    expect(listed.map(({ name }) => name)).toEqual(names);
    expect(listed.map(({ sizeBytes }) => sizeBytes)).toEqual(names.map((name) => name.length));
    expect(listed.map(({ covered }) => covered)).toEqual(names.map(() => false));
    expect((await all(store.list('list/0001/0'))).map(({ name }) => name)).toEqual(names.slice(0, 2));
    expect(await store.last('list/')).toBe('list/0010/0001');
    expect(await store.last('nothing/')).toBeUndefined();
  });

  it('renews the one name that is renewed', async () => {
    await store.renew('checkpoint', bytes('1'));
    await store.renew('checkpoint', bytes('2'));
    expect((await all(store.list('checkpoint'))).length).toBe(1);
  });

  it.each(['../other/x', 'a/../../x', '/etc/passwd', 'a//b', '', 'a/./b', 'a\\b', 'a/b\0', '..'])(
    'refuses a name that leads elsewhere: %j',
    async (name) => {
      await expect(store.put(name, bytes('x'))).rejects.toThrow(RangeError);
      await expect(store.get(name)).rejects.toThrow(RangeError);
    },
  );
};

describe('an archive in a folder', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trailkeeper-archive-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  conformance(async () => folderStore(join(folder, 'acme')));

  it('makes its files read-only, and leaves no draft behind', async () => {
    const store = folderStore(join(folder, 'modes'));
    await store.put('x/y', bytes('1'));
    await store.put('x/y', bytes('1'));
    expect((await stat(join(folder, 'modes/x/y'))).mode & 0o777).toBe(0o444);
    expect(await readdir(join(folder, 'modes/x'))).toEqual(['y']);
  });

  it('does not take a draft that a crash left for an object', async () => {
    const store = folderStore(join(folder, 'drafts'));
    await store.put('x/y', bytes('1'));
    await writeFile(join(folder, 'drafts/x/.draft-00'), 'half');
    expect((await all(store.list(''))).map(({ name }) => name)).toEqual(['x/y']);
  });

  it('says that a full or absent disk may pass', async () => {
    // /dev/full takes no byte; a file in place of a folder takes no object.
    await writeFile(join(folder, 'file'), '');
    const store = folderStore(join(folder, 'file', 'acme'));
    await expect(store.put('x', bytes('1'))).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE', retryable: true });
    await chmod(join(folder, 'file'), 0o600);
  });
});

describe.skipIf(!isThere(gateway))('an archive in S3', () => {
  let s3: Gateway;
  let credentials: Credentials;
  const stores: { close(): void }[] = [];
  const open = (bucket: string, own: Credentials, prefix = '') => {
    const store = s3Store({
      bucket,
      prefix,
      region: 'us-east-1',
      endpoint: s3.endpoint,
      credentials: own,
      lockMs: dayMs,
      nowMs: Date.now,
    });
    stores.push(store);
    return store;
  };
  const raw = (own: Credentials) =>
    new S3Client({ region: 'us-east-1', endpoint: s3.endpoint, forcePathStyle: true, credentials: own });

  beforeAll(async () => {
    s3 = await startGateway(pathOf(gateway));
    credentials = await s3.bucket('acme');
  });
  afterAll(async () => {
    for (const store of stores) store.close();
    await s3.stop();
  });
  conformance(async () => open('acme', credentials, 'trail/'));

  it('locks what it writes, and extends the lock, never shortens it', async () => {
    const store = open('acme', credentials, 'locks/');
    const object = await store.put('x', bytes('1'));
    const lockedUntil = async () => (await all(store.list('x', { locks: true })))[0]!.retainUntil!.getTime();
    const first = await lockedUntil();
    expect(first).toBeGreaterThan(Date.now() + dayMs - 120_000);
    await store.lock!(object, new Date(first + dayMs));
    expect(await lockedUntil()).toBe(first + dayMs);
    await store.lock!(object, new Date(first));
    expect(await lockedUntil()).toBe(first + dayMs);
  });

  it('can not remove a version that is locked, with any credential', async () => {
    const store = open('acme', credentials, 'kept/');
    const { version } = await store.put('x', bytes('kept'));
    for (const own of [credentials, s3.root]) {
      const client = raw(own);
      await expect(
        client.send(
          new DeleteObjectCommand({
            Bucket: 'acme',
            Key: 'kept/x',
            VersionId: version,
            BypassGovernanceRetention: true,
          }),
        ),
      ).rejects.toMatchObject({ $fault: 'client' });
      client.destroy();
    }
    expect(await store.get('x')).toEqual(bytes('kept'));
  });

  it('gives the first version, whatever was laid over it, and tells that something was', async () => {
    const store = open('acme', credentials, 'covered/');
    await store.put('x', bytes('true'));
    const client = raw(credentials);
    await client.send(new PutObjectCommand({ Bucket: 'acme', Key: 'covered/x', Body: 'false' }));
    expect(await store.get('x')).toEqual(bytes('true'));
    await client.send(new DeleteObjectCommand({ Bucket: 'acme', Key: 'covered/x' }));
    client.destroy();
    expect(await store.get('x')).toEqual(bytes('true'));
    expect(await all(store.list('x'))).toMatchObject([{ name: 'x', covered: true }]);
    await expect(store.put('x', bytes('true'))).resolves.toBeDefined();
    await expect(store.put('x', bytes('false'))).rejects.toMatchObject({ code: 'ARCHIVE_CONFLICT' });
  });

  it("neither reads, lists nor writes what is another instance's", async () => {
    const globex = await s3.bucket('globex');
    const theirs = open('globex', globex);
    await theirs.put('secret', bytes('theirs'));
    const intruder = open('globex', credentials);
    for (const attempt of [
      () => intruder.get('secret'),
      () => intruder.put('mine', bytes('x')),
      () => intruder.last(''),
      () => all(intruder.list('')),
    ])
      await expect(attempt()).rejects.toMatchObject({ code: 'ARCHIVE_REFUSED', retryable: false });
    const client = raw(credentials);
    const { version } = await theirs.put('secret', bytes('theirs'));
    await expect(
      client.send(new PutObjectCommand({ Bucket: 'globex', Key: 'secret', Body: 'mine' })),
    ).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    await expect(
      client.send(new DeleteObjectCommand({ Bucket: 'globex', Key: 'secret', VersionId: version })),
    ).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    client.destroy();
    expect(await all(theirs.list(''))).toMatchObject([{ name: 'secret', covered: false }]);
  });

  it('refuses a bucket without Object Lock', async () => {
    const { CreateBucketCommand } = await import('@aws-sdk/client-s3');
    const client = raw(s3.root);
    await client.send(new CreateBucketCommand({ Bucket: 'lockless' }));
    client.destroy();
    await expect(open('lockless', s3.root).put('x', bytes('1'))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it('says without a credential what is wrong, where nobody answers', async () => {
    const store = s3Store({
      bucket: 'acme',
      prefix: '',
      region: 'us-east-1',
      endpoint: 'http://127.0.0.1:9',
      credentials,
      lockMs: dayMs,
      nowMs: Date.now,
    });
    stores.push(store);
    const failure = (await store.put('x', bytes('1')).catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: 'ARCHIVE_UNAVAILABLE', retryable: true });
    expect(failure.message).not.toContain(credentials.secretAccessKey);
  });
});
