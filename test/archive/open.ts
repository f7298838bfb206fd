/** A trail with its archive in a folder, archived by a tail that the test runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseVkey } from '../../domain/tree/note.ts';
import { folderStore } from '../../trail/archive/folder-store.ts';
import { archivedSize } from '../../trail/archive/state.ts';
import type { ArchiveStore } from '../../trail/archive/store.ts';
import { ArchiveTail, type ArchivedInstance, type LagReport } from '../../trail/tails/archive-tail.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

export interface TestArchive extends TestTrail {
  readonly folder: string;
  readonly store: ArchiveStore;
  readonly lags: LagReport[];
  readonly failures: unknown[];
  /** Starts another owner of the archive's tail. */
  archiver(options?: Partial<ArchivedInstance> & { readonly nowMs?: () => number }): ArchiveTail;
  /** Waits until so many entries are archived. */
  archived(size: number): Promise<void>;
}

let owners = 0;

export const openTestArchive = async (): Promise<TestArchive> => {
  const test = await openTestTrail();
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-archive-'));
  const store = folderStore(folder);
  const lags: LagReport[] = [];
  const failures: unknown[] = [];
  const tails: ArchiveTail[] = [];
  const key = parseVkey(test.trail.vkey);
  return {
    ...test,
    folder,
    store,
    lags,
    failures,
    archiver({ nowMs = Date.now, ...changes } = {}) {
      owners += 1;
      const archived: ArchivedInstance = {
        store,
        origin: test.origin,
        keys: [key],
        gatherMs: 0,
        lagMsMax: 60_000,
        ...changes,
      };
      const tail = new ArchiveTail({
        owner: `archiver-${owners}`,
        client: test.database.clients.archiver,
        open: async () => archived,
        onLag: async (report) => void lags.push(report),
        onError: (_tail, _instance, error) => failures.push(error),
        nowMs,
      });
      tail.follow(test.instance);
      tails.push(tail);
      return tail;
    },
    async archived(size) {
      while ((await archivedSize(test.database.clients.reader, test.instance)) < size) {
        if (failures.length > 0) throw failures[0];
        await delay(20);
      }
    },
    async close() {
      await Promise.all(tails.map((tail) => tail.stop()));
      await test.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
