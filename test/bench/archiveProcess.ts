/**
 * Archives a log, or rebuilds an instance from its archive, in a process of its own: `archive.ts` starts this file, which says
 * how fast it was and how much memory it took at most.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { parseVkey } from '../../domain/tree/note.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { rebuildInstance } from '../../store/rebuild-instance.ts';
import { folderStore } from '../../trail/archive/folder-store.ts';
import { archivedSize } from '../../trail/archive/state.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { ArchiveTail } from '../../trail/tails/archive-tail.ts';
import { perSecond, timeMs } from './harness.ts';

export interface ArchiveOrder {
  readonly work: 'archive' | 'rebuild';
  readonly instance: InstanceId;
  readonly origin: string;
  readonly vkey: string;
  readonly entries: number;
  readonly archiveFolder: string;
  readonly keysFolder: string;
}

const pollMs = 20;

const archive = async ({ instance, origin, vkey, entries, archiveFolder }: ArchiveOrder): Promise<void> => {
  const archiver = await MongoClient.connect(process.env['ARCHIVER_URI']!);
  const archived = {
    store: folderStore(archiveFolder),
    origin,
    keys: [parseVkey(vkey)],
    gatherMs: 0,
    lagMsMax: 3_600_000,
  };
  const tail = new ArchiveTail({
    owner: `bench-${process.pid}`,
    client: archiver,
    open: async () => archived,
    onLag: async () => undefined,
    onError: (_tail, _instance, error) => {
      console.error(error);
      process.exit(1);
    },
    nowMs: Date.now,
  });
  tail.follow(instance);
  while ((await archivedSize(archiver, instance)) < entries) await delay(pollMs);
  await tail.stop();
  await archiver.close();
};

const rebuild = async ({ instance, vkey, archiveFolder, keysFolder }: ArchiveOrder): Promise<void> => {
  const admin = await MongoClient.connect(process.env['ADMIN_URI']!);
  await rebuildInstance({
    store: folderStore(archiveFolder),
    instance,
    admin,
    trust: { kind: 'trusted', keys: [parseVkey(vkey)] },
    kept: [],
    keys: await openFileKeyProvider(keysFolder),
    progress: () => undefined,
  });
  await admin.close();
};

if (import.meta.main) {
  const order = JSON.parse(process.argv[2]!) as ArchiveOrder;
  const ms = await timeMs(() => (order.work === 'archive' ? archive(order) : rebuild(order)));
  console.log(JSON.stringify({ rate: perSecond(order.entries, ms), peakMiB: process.resourceUsage().maxRSS / 1024 }));
}
