/** An archive that falls behind: an alarm, once; and for an instance that demands it, no receipt before the archive. */
import type { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lagEvent, recordLag } from '../../store/archive-alarms.ts';
import { acknowledgeByArchive, type ArchiveDemand } from '../../trail/archive/acknowledgement.ts';
import { ArchiveError } from '../../trail/archive/errors.ts';
import { archivedSize } from '../../trail/archive/state.ts';
import type { ArchiveStore } from '../../trail/archive/store.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestArchive, type TestArchive } from './open.ts';

/** A storage that is away until it is brought back. */
const absent = (store: ArchiveStore): { store: ArchiveStore; bringBack: () => void } => {
  let away = true;
  const guard = async <T>(use: () => Promise<T>): Promise<T> => {
    if (away) throw new ArchiveError('ARCHIVE_UNAVAILABLE', 'the storage is away');
    return use();
  };
  return {
    bringBack: () => (away = false),
    store: {
      ...store,
      put: (name, bytes) => guard(() => store.put(name, bytes)),
      get: (name, version) => guard(() => store.get(name, version)),
    },
  };
};

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise(setImmediate);
};

describe('an archive that lags', () => {
  let test: TestArchive;
  beforeAll(async () => {
    test = await openTestArchive();
  });
  afterAll(() => test.close());

  it('raises an alarm once, and says when it is over', async () => {
    const next = emitterOf('lag');
    await test.trail.writer.append([next(), next()], 'platform');
    const { store, bringBack } = absent(test.store);
    // The clock runs an hour ahead: what was received just now has waited for long.
    let aheadMs = 0;
    const owner = test.archiver({ store, lagMsMax: 60_000, nowMs: () => Date.now() + aheadMs });
    await until(() => test.failures.length >= 2);
    expect(test.lags).toEqual([]);
    aheadMs = 3_600_000;
    await until(() => test.lags.length > 0);
    const failures = test.failures.length;
    await until(() => test.failures.length > failures + 1);
    expect(test.lags).toMatchObject([{ state: 'behind', instance: test.instance, index: 0 }]);
    bringBack();
    test.failures.length = 0;
    await test.archived(2);
    await until(() => test.lags.length > 1);
    await owner.stop();
    expect(test.lags.map(({ state, index }) => ({ state, index }))).toEqual([
      { state: 'behind', index: 0 },
      { state: 'recovered', index: 0 },
    ]);
  });

  it('raises the alarm also where its storage can not even be opened', async () => {
    const from = await archivedSize(test.database.clients.reader, test.instance);
    await test.trail.writer.append([emitterOf('unopened')()], 'platform');
    test.lags.length = 0;
    const store = Promise.reject<ArchiveStore>(new ArchiveError('ARCHIVE_UNAVAILABLE', 'the storage is away'));
    store.catch(() => undefined);
    const owner = test.archiver({ store, nowMs: () => Date.now() + 3_600_000 });
    await until(() => test.lags.length > 0);
    await owner.stop();
    expect(test.lags).toMatchObject([{ state: 'behind', instance: test.instance, index: from }]);
    expect(test.failures).toMatchObject([{ code: 'ARCHIVE_UNAVAILABLE' }]);
    test.failures.length = 0;
    const after = test.archiver();
    await test.archived(from + 1);
    await after.stop();
  });

  it('is recorded in the log, each end once, under one correlation id', async () => {
    const { trail } = test;
    const before = await trail.reader.size();
    const sinceMs = Date.now() - 5000;
    for (const state of ['behind', 'behind', 'recovered', 'recovered'] as const)
      await recordLag(trail.writer, { state, instance: test.instance, index: 7, sinceMs }, Date.now());
    expect(await trail.reader.size()).toBe(before + 2);
    const [first, second] = [await trail.reader.at(before), await trail.reader.at(before + 1)];
    expect(first!.entry).toMatchObject({ action: 'archive.lag', outcome: 'failure', error: { code: 'UNAVAILABLE' } });
    expect(second!.entry).toMatchObject({ action: 'archive.lag', outcome: 'success', retentionClass: 'security' });
    expect(second!.entry.correlationId).toBe(first!.entry.correlationId);
    const report = { state: 'behind' as const, instance: test.instance, index: 7, sinceMs };
    expect(first!.entry.id).toBe(lagEvent(report, sinceMs).id);
  });
});

describe('an archive that has lagged for longer than ids may be old', () => {
  let test: TestArchive;
  beforeAll(async () => {
    test = await openTestArchive();
  });
  afterAll(() => test.close());

  it('is recorded all the same, each end once', async () => {
    const { trail, instance } = test;
    const nowMs = Date.now();
    const sinceMs = nowMs - 40 * 86_400_000;
    for (const state of ['behind', 'behind', 'recovered', 'recovered'] as const)
      await recordLag(trail.writer, { state, instance, index: 3, sinceMs }, nowMs);
    expect(await trail.reader.size()).toBe(2);
    const [first, second] = [await trail.reader.at(0), await trail.reader.at(1)];
    expect(first!.entry).toMatchObject({ action: 'archive.lag', eventTime: new Date(sinceMs).toISOString() });
    expect(second!.entry.correlationId).toBe(first!.entry.correlationId);
  });
});

describe('an instance that demands its archive', () => {
  let test: TestArchive;
  let demand: ArchiveDemand | undefined;
  beforeAll(async () => {
    test = await openTestArchive();
  });
  afterAll(() => test.close());

  const demanding = async (waitMsMax: number) => {
    const { writer } = await test.another();
    const { clients } = test.database;
    return acknowledgeByArchive(writer, {
      client: clients.appender,
      instance: test.instance,
      demand: async () => demand,
      waitMsMax,
    });
  };

  it('gets its receipts when the archive holds the entries, and not before', async () => {
    demand = { acknowledge: 'archive', lagMsMax: 60_000 };
    const writer = await demanding(100);
    const next = emitterOf('demand');
    const events = [next(), next()];
    // No archiver runs: the events stand in the log, and nobody has a receipt.
    await expect(writer.append(events, 'platform')).rejects.toMatchObject({ code: 'ARCHIVE_BEHIND', retryable: true });
    expect(await test.trail.reader.size()).toBe(2);
    const owner = test.archiver();
    const patient = await demanding(60_000);
    const results = await patient.append(events, 'platform');
    expect(results.map(({ status }) => status)).toEqual(['duplicate', 'duplicate']);
    expect(await archivedSize(test.database.clients.reader, test.instance)).toBeGreaterThanOrEqual(2);
    await owner.stop();
  });

  it('asks how far the archive is once for all calls that wait', async () => {
    demand = { acknowledge: 'archive', lagMsMax: 60_000 };
    const { writer } = await test.another();
    const { appender } = test.database.clients;
    let asked = 0;
    let underWay = 0;
    let most = 0;
    const counting = {
      db: (name: string) => ({
        collection: (collection: string, options: object) => ({
          findOne: async (filter: object) => {
            asked += 1;
            underWay += 1;
            most = Math.max(most, underWay);
            try {
              return await appender.db(name).collection(collection, options).findOne(filter);
            } finally {
              underWay -= 1;
            }
          },
        }),
      }),
    } as unknown as MongoClient;
    const options = { client: counting, instance: test.instance, demand: async () => demand, waitMsMax: 200 };
    const waiting = acknowledgeByArchive(writer, options);
    const calls = Array.from({ length: 20 }, (_, n) => waiting.append([emitterOf(`crowd-${n}`)()], 'platform'));
    const results = await Promise.allSettled(calls);
    expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(
      Array.from({ length: 20 }, () => 'ARCHIVE_BEHIND'),
    );
    expect(asked).toBeGreaterThan(0);
    expect(most).toBe(1);
  });

  it('changes its control state while the archive is away, so that it can be contained, and give up the demand', async () => {
    demand = { acknowledge: 'archive', lagMsMax: 60_000 };
    const writer = await demanding(100);
    const change = emitterOf('containment');
    const suspend = change({
      action: 'instance.suspend',
      control: { change: 'instance.suspend' },
      system: 'trailkeeper',
    });
    await expect(writer.append([suspend], 'platform')).resolves.toMatchObject([{ status: 'accepted' }]);
    demand = { acknowledge: 'log', lagMsMax: 60_000 };
    const free = await demanding(100);
    await expect(free.append([emitterOf('free')()], 'platform')).resolves.toMatchObject([{ status: 'accepted' }]);
  });
});
