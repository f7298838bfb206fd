/** A trail of its own for a test, with the tails that it needs running. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceId } from '../../schema/ids.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import { createTileTail } from '../../trail/tails/tile-tail.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import type { WriterOptions } from '../../trail/writer.ts';
import { provisionTestInstances, type TestInstances } from '../setup/database.ts';

export interface TestTrail {
  readonly instance: InstanceId;
  readonly origin: string;
  readonly trail: Trail;
  readonly database: TestInstances<'acme'>;
  readonly keys: KeyProvider;
  /** Folder of `keys`, for a process of its own that a test starts. */
  readonly keysFolder: string;
  /** The same log as another process would open it. */
  another(writer?: Partial<WriterOptions>): Promise<Trail>;
  /** Starts the index and the tiles. */
  tails(options?: { quiet: boolean }): TailRunner;
  close(): Promise<void>;
}

/** `provider`: instead of key files in a folder of its own. */
export const openTestTrail = async (
  writer: Partial<WriterOptions> = {},
  provider?: KeyProvider,
): Promise<TestTrail> => {
  const database = await provisionTestInstances(['acme']);
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-keys-'));
  const keys = provider ?? (await openFileKeyProvider(folder));
  const instance = database.ids.acme;
  const origin = `localhost/log/${instance}`;
  const another = (options: Partial<WriterOptions> = {}) =>
    openTrail(instance, origin, { clients: database.clients, keys, writer: options });
  const runners: TailRunner[] = [];
  return {
    instance,
    origin,
    trail: await another(writer),
    database,
    keys,
    keysFolder: folder,
    another,
    tails({ quiet } = { quiet: false }) {
      const { projector } = database.clients;
      const runner = new TailRunner({
        owner: 'test',
        tails: [createIndexTail(projector), createTileTail(projector)],
        onError: (tail, _instance, error) => {
          if (!quiet) console.error(`tail ${tail}:`, error);
        },
      });
      runner.follow(instance);
      runners.push(runner);
      return runner;
    },
    async close() {
      await Promise.all(runners.map((runner) => runner.stop()));
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
