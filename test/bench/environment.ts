/** What the benchmarks run on: servers of their own in a throw-away folder, and instances provisioned for each. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { startServers, ServersError, type Servers } from '../../stack/servers/servers.ts';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { ensureInstance } from '../../store/instances.ts';
import { duties, dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import type { WriterOptions } from '../../trail/writer.ts';

export type Scale = 'small' | 'full';

/** How much is done. */
export interface Extent {
  readonly scale: Scale;
  readonly rounds: number;
  /** In place of each benchmark's own number of events for the scale. */
  readonly events?: number;
}

export interface BenchInstance {
  readonly instance: InstanceId;
  readonly origin: string;
  readonly keysFolder: string;
  readonly keys: KeyProvider;
  readonly clients: Readonly<Record<Duty, MongoClient>>;
  /** For a process of its own. Holds a password. */
  readonly uriOf: (duty: Duty) => string;
  open(writer?: Partial<WriterOptions>): Promise<Trail>;
  /** Closes the connections and drops the data. */
  close(): Promise<void>;
}

export interface BenchInstances {
  readonly trails: readonly Trail[];
  close(): Promise<void>;
}

export interface Environment {
  readonly extent: Extent;
  readonly say: (line: string) => void;
  readonly admin: MongoClient;
  /** Of the administrator. Holds a password. */
  readonly mongodbUri: string;
  readonly passwords: Readonly<Record<Duty, string>>;
  readonly temporal: Servers['temporal'];
  /** Thrown away at the end. */
  readonly folder: string;
  instance(name: string): Promise<BenchInstance>;
  /** So many at once, which share their connections: one for each duty. */
  instances(name: string, count: number): Promise<BenchInstances>;
  /** A database of the baseline's, dropped when the benchmarks end. */
  readonly plain: (name: string) => ReturnType<MongoClient['db']>;
  facts(): Promise<Facts>;
  close(): Promise<void>;
}

/** What the figures hold for. */
export interface Facts {
  readonly cores: number;
  readonly processor: string;
  readonly memoryBytes: number;
  readonly node: string;
  readonly mongodb: string;
  readonly temporal: string;
  /** Average of the last minute, before the benchmarks began. */
  readonly loadAverage: number;
}

export const namespace = 'trailkeeper';

export async function startEnvironment(extent: Extent, say: (line: string) => void): Promise<Environment> {
  const loadAverage = loadavg()[0]!;
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-bench-'));
  const discard = () => rm(folder, { recursive: true, force: true });
  let servers: Servers;
  try {
    servers = await startOnFreePorts(folder, say);
  } catch (error) {
    await discard();
    throw error;
  }
  const { adminUri } = servers.mongodb;
  const admin = await MongoClient.connect(adminUri);
  const passwords = Object.fromEntries(duties.map((duty) => [duty, randomBytes(24).toString('base64url')])) as Record<
    Duty,
    string
  >;
  const uriOf = (duty: Duty) => dutyUri(adminUri, duty, passwords[duty]);
  const plainDatabases = new Set<string>();
  return {
    extent,
    say,
    admin,
    mongodbUri: adminUri,
    passwords,
    temporal: servers.temporal,
    folder,
    plain: (name) => {
      plainDatabases.add(name);
      return admin.db(name);
    },
    async instance(name) {
      const instance = `${name}-${randomBytes(4).toString('hex')}` as InstanceId;
      await provisionDatabase(admin, { instances: [instance], passwords });
      const connected = await Promise.all(
        duties.map(async (duty) => [duty, await MongoClient.connect(uriOf(duty))] as const),
      );
      const clients = Object.fromEntries(connected) as Record<Duty, MongoClient>;
      const keysFolder = join(folder, 'keys');
      const keys = await openFileKeyProvider(keysFolder);
      const { origin } = await ensureInstance(clients.provisioner, instance, 'localhost', new Date());
      return {
        instance,
        origin,
        keysFolder,
        keys,
        clients,
        uriOf,
        open: (writer = {}) => openTrail(instance, origin, { clients, keys, writer }),
        async close() {
          await Promise.all(Object.values(clients).map((client) => client.close()));
          await admin.db(instanceDatabase(instance)).dropDatabase();
        },
      };
    },
    async instances(name, count) {
      const names = Array.from(
        { length: count },
        (_, i) => `${name}-${i}-${randomBytes(4).toString('hex')}` as InstanceId,
      );
      await provisionDatabase(admin, { instances: names, passwords });
      const connect = async (duty: Duty) => MongoClient.connect(uriOf(duty));
      const [appender, anchor, reader, provisioner] = await Promise.all([
        connect('appender'),
        connect('anchor'),
        connect('reader'),
        connect('provisioner'),
      ]);
      const keys = await openFileKeyProvider(join(folder, 'keys'));
      const clients = { appender, anchor, reader };
      const trails: Trail[] = [];
      for (const instance of names) {
        const { origin } = await ensureInstance(provisioner, instance, 'localhost', new Date());
        trails.push(await openTrail(instance, origin, { clients, keys }));
      }
      return {
        trails,
        async close() {
          await Promise.all([appender, anchor, reader, provisioner].map((client) => client.close()));
          for (const instance of names) await admin.db(instanceDatabase(instance)).dropDatabase();
        },
      };
    },
    facts: async () => ({
      cores: availableParallelism(),
      processor: cpus()[0]?.model ?? 'unknown',
      memoryBytes: totalmem(),
      node: process.version,
      mongodb: String((await admin.db('admin').command({ buildInfo: 1 }))['version']),
      temporal: await temporalVersion(servers.temporal.address),
      loadAverage,
    }),
    async close() {
      for (const name of plainDatabases) await admin.db(name).dropDatabase();
      await admin.close();
      await servers.stop('discard');
      await discard();
    },
  };
}

async function temporalVersion(address: string): Promise<string> {
  const connection = await Connection.connect({ address });
  try {
    return (await connection.workflowService.getSystemInfo({})).serverVersion ?? 'unknown';
  } finally {
    await connection.close();
  }
}

/** Another process may take a port between our choosing it and the server's binding it. */
async function startOnFreePorts(folder: string, say: (line: string) => void): Promise<Servers> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startServers({
        // Its own, whatever the environment names: the benchmarks write and drop at will.
        env: { ...process.env, MONGODB_URI: '', TEMPORAL_ADDRESS: '' },
        dataFolder: join(folder, `servers-${attempt}`),
        ports: { mongodb: { kind: 'free' }, temporal: { kind: 'free' } },
        namespace,
        say,
      });
    } catch (error) {
      if (attempt === 3 || !(error instanceof ServersError) || error.code !== 'PORT_TAKEN') throw error;
    }
  }
}
