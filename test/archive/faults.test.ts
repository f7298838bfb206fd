/**
 * Faults at each write of an archived range. A row: at which object the archiver fails, and whether what was being written
 * is there afterwards. After each, another owner goes on, and: the archive verifies as a whole, holds every entry that
 * was acknowledged, and what was half written counts for nothing at no moment.
 */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseVkey } from '../../domain/tree/note.ts';
import { ArchiveError } from '../../trail/archive/errors.ts';
import { newestCheckpoint, type KeyTrust } from '../../trail/archive/head.ts';
import { archivedSize } from '../../trail/archive/state.ts';
import type { ArchiveStore } from '../../trail/archive/store.ts';
import { verifyArchive } from '../../trail/archive/verify.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestArchive, type TestArchive } from './open.ts';

interface Row {
  readonly at: string;
  /** Whether the object stands when the archiver is told that it failed. */
  readonly persisted: boolean;
}

const kinds = ['payload/', 'rows/', 'tile/', 'segments/', 'ranges/', 'checkpoints/', 'checkpoint'] as const;
const rows: Row[] = kinds.flatMap((at) => [
  { at, persisted: false },
  { at, persisted: true },
]);

/** The same storage, which fails once at the first object of a kind. */
const failing = (store: ArchiveStore, { at, persisted }: Row): { store: ArchiveStore; failed: Promise<void> } => {
  const failed = Promise.withResolvers<void>();
  let armed = true;
  const guard = async <T>(name: string, write: () => Promise<T>): Promise<T> => {
    if (!armed || !(at.endsWith('/') ? name.startsWith(at) : name === at)) return write();
    armed = false;
    if (persisted) await write();
    failed.resolve();
    throw new ArchiveError('ARCHIVE_UNAVAILABLE', 'the storage went away');
  };
  return {
    failed: failed.promise,
    store: {
      ...store,
      put: (name, bytes) => guard(name, () => store.put(name, bytes)),
      renew: (name, bytes) => guard(name, () => store.renew(name, bytes)),
    },
  };
};

describe('a fault at a write of the archive', () => {
  let test: TestArchive;
  let trust: KeyTrust;
  let size = 0;
  beforeAll(async () => {
    test = await openTestArchive();
    trust = { kind: 'trusted', keys: [parseVkey(test.trail.vkey)] };
  });
  afterAll(() => test.close());

  /** A range of all kinds of objects: a new subject makes rows. */
  const append = async (name: string): Promise<void> => {
    const next = emitterOf(name.replaceAll(/[^a-z]+/g, '-'));
    const subjects = [{ system: 'salesforce', kind: 'Contact', id: name }];
    const parts = [{ name: 'after', content: 'x', subject: 0 }];
    await test.trail.writer.append(
      [next({ subjects, parts }), ...Array.from({ length: 150 }, () => next())],
      'platform',
    );
    size += 151;
  };

  it.each(rows)('at $at (persisted: $persisted)', async (row) => {
    const before = size;
    await append(`${row.at} ${row.persisted}`);
    const { store, failed } = failing(test.store, row);
    const owner = test.archiver({ store });
    await failed;
    await owner.stop();
    test.failures.length = 0;
    // Nothing half written counts: the newest checkpoint is the one of before, or the whole one.
    const between = await newestCheckpoint(test.store, trust);
    const whole = row.at === 'checkpoint' || (row.at === 'checkpoints/' && row.persisted);
    expect(between?.checkpoint.size ?? 0).toBe(whole ? size : before);

    const next = test.archiver();
    await test.archived(size);
    await next.stop();
    expect(await verifyArchive(test.store, { trust })).toMatchObject({ outcome: 'verified', size, problems: [] });
  });

  it('where the cursor could not be moved, the same range is written again, and is the same', async () => {
    await append('cursor');
    const cursor = (mode: Document | 'off') =>
      test.database.admin.db('admin').command({
        configureFailPoint: 'failCommand',
        mode,
        ...(mode !== 'off' && {
          data: { failCommands: ['update'], namespace: `tk_${test.instance}.tails`, errorCode: 11_602 },
        }),
      });
    // The first update keeps the plan; the ones after it would move the cursor.
    await cursor({ skip: 1 });
    const owner = test.archiver();
    while ((await newestCheckpoint(test.store, trust))?.checkpoint.size !== size) await new Promise(setImmediate);
    await owner.stop();
    await cursor('off');
    test.failures.length = 0;
    const next = test.archiver();
    await test.archived(size);
    await next.stop();
    expect(await verifyArchive(test.store, { trust })).toMatchObject({ outcome: 'verified', size, problems: [] });
  });

  it('behind the manifest, where rows of the range changed before another owner goes on', async () => {
    await append('changed');
    const { store, failed } = failing(test.store, { at: 'checkpoints/', persisted: false });
    const owner = test.archiver({ store });
    await failed;
    await owner.stop();
    test.failures.length = 0;
    const changed = await test.database.admin
      .db('tk_control')
      .collection('subjects')
      .updateMany({ instance: test.instance }, { $currentDate: { at: { $type: 'timestamp' } } });
    expect(changed.modifiedCount).toBeGreaterThan(0);
    const next = test.archiver();
    await test.archived(size);
    // As they are now, they are in the range after it.
    await append('after the change');
    await test.archived(size);
    await next.stop();
    expect(await verifyArchive(test.store, { trust })).toMatchObject({ outcome: 'verified', size, problems: [] });
    const copied = (await newestCheckpoint(test.store, trust))!.manifest.objects.filter(({ name }) =>
      name.startsWith('rows/'),
    );
    expect(copied.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBeGreaterThan(100 * changed.modifiedCount);
  });

  it('a lease that was lost is taken again above what the cursor has seen', async () => {
    const { admin, clients } = test.database;
    const leases = admin.db('tk_control').collection('leases');
    await leases.deleteOne({ _id: `${test.instance}/archive` as never });
    await append('lost lease');
    const owner = test.archiver();
    while ((await archivedSize(clients.reader, test.instance)) < size) await new Promise(setImmediate);
    await owner.stop();
    expect(test.failures).toMatchObject([{ code: 'TRAIL_UNAVAILABLE' }]);
    test.failures.length = 0;
  });

  it('two owners at once write one archive', async () => {
    const owners = [test.archiver(), test.archiver(), test.archiver()];
    for (const name of ['one', 'two', 'three']) {
      await append(`owners ${name}`);
      await test.archived(size);
    }
    await Promise.all(owners.map((owner) => owner.stop()));
    expect(await verifyArchive(test.store, { trust })).toMatchObject({ outcome: 'verified', size, problems: [] });
  });
});
