/** MongoDB under a log is killed, and its disk fills up: what was acknowledged is there when it is back. */
import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MongoClient } from 'mongodb';
import { afterEach, describe, expect, it } from 'vitest';
import type { InstanceId } from '../../schema/ids.ts';
import { startMongod, type RunningMongod } from '../../stack/servers/mongod.ts';
import { claimPort } from '../../stack/servers/ports.ts';
import { resolveProgram } from '../../stack/servers/resolve.ts';
import { dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import { testPasswords } from '../setup/database.ts';
import { emitterOf } from '../trail/events.ts';
import { startCallers } from './callers.ts';
import { expectInvariants } from './invariants.ts';

const run = promisify(execFile);
const instance = 'disk' as InstanceId;
/** From then on, a server that does not answer is taken for hung. */
const stuckMs = 45_000;

const cleanUps: (() => Promise<unknown>)[] = [];
const afterwards = (cleanUp: () => Promise<unknown>) => void cleanUps.unshift(cleanUp);
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

const temporaryFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-disk-'));
  afterwards(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

interface Server {
  readonly adminUri: string;
  /** As `kill -9` does. */
  kill(): Promise<void>;
  /** Resolves when it has ended by itself. */
  readonly ended: () => Promise<unknown>;
  start(): Promise<void>;
}

const startServer = async (folder: string): Promise<Server> => {
  const program = await resolveProgram('mongod', { env: process.env, say: () => undefined });
  const port = await claimPort({ kind: 'free' }, 'MongoDB');
  const launch = () =>
    startMongod({
      program,
      folder,
      port: { kind: 'fixed', port, setting: 'the port' },
      say: () => undefined,
      cacheSizeGb: 0.25,
    });
  let mongod: RunningMongod = await launch();
  afterwards(() => mongod.child.kill());
  return {
    adminUri: mongod.adminUri,
    kill: () => mongod.child.kill(),
    ended: () => mongod.child.ended,
    async start() {
      mongod = await launch();
    },
  };
};

const openWriters = async (adminUri: string, count: number): Promise<{ trails: Trail[]; admin: MongoClient }> => {
  const connect = async (uri: string) => {
    const client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: 2000, readConcernLevel: 'majority' });
    afterwards(() => client.close());
    return client;
  };
  const admin = await connect(adminUri);
  await provisionDatabase(admin, { instances: [instance], passwords: testPasswords });
  const keys = await openFileKeyProvider(await temporaryFolder());
  const as = (duty: Duty) => connect(dutyUri(adminUri, duty, testPasswords[duty]));
  const trails: Trail[] = [];
  while (trails.length < count) {
    const clients = { appender: await as('appender'), anchor: await as('anchor'), reader: await as('reader') };
    trails.push(await openTrail(instance, 'localhost/log/disk', { clients, keys }));
  }
  return { trails, admin };
};

const logOf = ({ origin, vkey }: Trail, admin: MongoClient) => ({ instance, origin, vkey, admin });

/** Until nothing more fits. */
const fill = async (path: string): Promise<void> => {
  const block = Buffer.alloc(4 * 1024 * 1024);
  try {
    for (;;) await appendFile(path, block);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  }
};

describe('MongoDB under a log', () => {
  it('killed under load, again and again, comes back with all that was acknowledged', async () => {
    const server = await startServer(await temporaryFolder());
    const { trails, admin } = await openWriters(server.adminUri, 2);
    const callers = startCallers(
      'killed',
      trails.map(({ writer }) => writer),
      50,
    );
    for (let time = 0; time < 3; time += 1) {
      await callers.more(500);
      await server.kill();
      await server.start();
    }
    await callers.more(100);
    await callers.settle();
    const { entries } = await expectInvariants(logOf(trails[0]!, admin), callers.receipts);
    expect(entries.length).toBeGreaterThanOrEqual(callers.receipts.length);
  });

  const mounted = async (): Promise<string | undefined> => {
    const folder = await temporaryFolder();
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=768m', 'tmpfs', folder]);
    } catch {
      return undefined;
    }
    afterwards(() => run('umount', [folder]));
    return folder;
  };

  it('whose disk fills up refuses, and goes on once there is space again', async ({ skip }) => {
    const folder = await mounted();
    if (folder === undefined) return skip('a small tmpfs can only be mounted as root');
    const server = await startServer(folder);
    const { trails, admin } = await openWriters(server.adminUri, 1);
    const callers = startCallers(
      'full',
      trails.map(({ writer }) => writer),
      50,
    );
    await callers.more(500);
    // Somebody else fills the disk.
    const ballast = join(folder, 'ballast');
    await fill(ballast);
    const next = emitterOf('full-parts');
    const large = () => next({ parts: [{ name: 'after', content: { text: 'x'.repeat(1_000_000) } }] });
    // What does not fit is refused; or MongoDB ends itself, rather than go on without its journal; or it hangs.
    const flood = new AbortController();
    const refused = (async (): Promise<void> => {
      while (!flood.signal.aborted) {
        try {
          await trails[0]!.writer.append([large()], 'platform');
        } catch {
          return;
        }
      }
    })();
    await Promise.race([refused, server.ended(), delay(stuckMs)]);
    // Its supervisor makes room, and starts it anew.
    flood.abort();
    await server.kill();
    await rm(ballast);
    await server.start();
    await callers.more(200);
    await callers.settle();
    const { entries } = await expectInvariants(logOf(trails[0]!, admin), callers.receipts);
    expect(entries.length).toBeGreaterThanOrEqual(callers.receipts.length);
    return undefined;
  });
});
