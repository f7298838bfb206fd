/** The whole way through S3 with Object Lock: archived, verified, its locks extended, and rebuilt. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { parseVkey } from '../../domain/tree/note.ts';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { rebuildInstance } from '../../store/rebuild-instance.ts';
import { newestCheckpoint } from '../../trail/archive/head.ts';
import { extendLocks } from '../../trail/archive/locks.ts';
import { openArchive } from '../../trail/archive/place.ts';
import type { ArchiveStore, ListedObject } from '../../trail/archive/store.ts';
import { verifyArchive } from '../../trail/archive/verify.ts';
import { isThere, pathOf } from '../setup/programs.ts';
import { emitterOf } from '../trail/events.ts';
import { gatewayProgram, startGateway, type Credentials, type Gateway } from './gateway.ts';
import { loseInstance } from './loss.ts';
import { openTestArchive, type TestArchive } from './open.ts';

const gateway = await gatewayProgram();
const dayMs = 86_400_000;

describe.skipIf(!isThere(gateway))('an archive in S3', () => {
  let s3: Gateway;
  let test: TestArchive;
  let store: ArchiveStore;
  let credentials: Credentials;
  const trust = () => ({ kind: 'trusted' as const, keys: [parseVkey(test.trail.vkey)] });
  const bucketOf = () => `trail-${test.instance}`;
  const open = (aheadMs = 0): Promise<ArchiveStore> =>
    openArchive(test.instance, {
      place: { kind: 's3', bucket: 'trail-{instance}', prefix: 'log/' },
      region: 'us-east-1',
      endpoint: s3.endpoint,
      credentials: async () => credentials,
      lockMs: dayMs,
      nowMs: () => Date.now() + aheadMs,
    });
  const listed = async (locks = false): Promise<ListedObject[]> => {
    const found: ListedObject[] = [];
    for await (const object of store.list('', { locks })) found.push(object);
    return found;
  };

  beforeAll(async () => {
    s3 = await startGateway(pathOf(gateway));
    test = await openTestArchive();
    credentials = await s3.bucket(bucketOf());
    store = await open();
    const next = emitterOf('s3');
    const owner = test.archiver({ store });
    const subjects = [{ system: 'salesforce', kind: 'Contact', id: 'c-1' }];
    const parts = [{ name: 'after', content: 'x', subject: 0 }];
    for (const size of [300, 600]) {
      await test.trail.writer.append(
        Array.from({ length: 299 }, () => next()),
        'platform',
      );
      await test.trail.writer.append([next({ subjects, parts })], 'platform');
      await test.archived(size);
    }
    await owner.stop();
  });
  afterAll(async () => {
    await test.close();
    await s3.stop();
  });

  it('goes on while the storage is frozen and comes back', async () => {
    const next = emitterOf('s3-frozen');
    s3.pause();
    const owner = test.archiver({ store });
    await test.trail.writer.append([next()], 'platform');
    s3.resume();
    await test.archived(601);
    await owner.stop();
    expect((await newestCheckpoint(store, trust()))?.checkpoint.size).toBe(601);
  });

  it('verifies, by the oldest version of each object', async () => {
    expect(await verifyArchive(store, { trust: trust() })).toMatchObject({
      outcome: 'verified',
      size: 601,
      problems: [],
    });
  });

  it('has every object locked, and extends the locks in time', async () => {
    const until = new Date(Date.now() + 3 * dayMs);
    const locked = (await listed(true)).filter(({ name }) => name !== 'checkpoint');
    for (const { name, retainUntil } of locked)
      expect([name, retainUntil!.getTime()]).toEqual([name, expect.any(Number)]);
    expect(await extendLocks(store, { until, dueBefore: new Date(Date.now() + 2 * dayMs) })).toBe(locked.length);
    for (const { name, retainUntil } of (await listed(true)).filter((object) => object.name !== 'checkpoint'))
      expect([name, Math.abs(retainUntil!.getTime() - until.getTime()) < 1000]).toEqual([name, true]);
    expect(await extendLocks(store, { until, dueBefore: new Date(Date.now() + 2 * dayMs) })).toBe(0);
  });

  it('is rebuilt from, whatever was laid over its objects; and says that something was', async () => {
    const client = new S3Client({
      region: 'us-east-1',
      endpoint: s3.endpoint,
      forcePathStyle: true,
      credentials,
    });
    await client.send(new PutObjectCommand({ Bucket: bucketOf(), Key: 'log/tile/entries/000', Body: 'laid over' }));
    client.destroy();
    expect(await verifyArchive(store, { trust: trust() })).toMatchObject({
      outcome: 'refuted',
      entriesChecked: 601,
      problems: [{ kind: 'covered', object: 'tile/entries/000' }],
    });
    const record = () =>
      test.database.admin.db(instanceDatabase(test.instance)).collection('record').find().sort({ _id: 1 }).toArray();
    const before = await record();
    await loseInstance(test.database.admin, test.instance, test.origin);
    await rebuildInstance({
      store,
      instance: test.instance,
      admin: test.database.admin,
      trust: trust(),
      kept: [],
      keys: test.keys,
      progress: () => undefined,
    });
    expect(await record()).toEqual(before);
  });
});
