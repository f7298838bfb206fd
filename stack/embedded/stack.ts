/**
 * The embedded stack: MongoDB and Temporal (ours or given), the sandbox of vendor stand-ins, the worker, the maintenance
 * process and the API, on one machine. Those three are processes of their own, and hold the MongoDB users of their duties
 * only; the administrator's connection, the maintenance process alone.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { processDuties, type Config } from '../config.ts';
import { demoInstances } from '../provision/demo.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { ServerChild } from '../servers/child.ts';
import { ensureDutyPasswords } from '../servers/dutyPasswords.ts';
import { ServersError } from '../servers/errors.ts';
import { startServers, type Servers } from '../servers/servers.ts';
import { passwordSetting } from '../settings.ts';
import type { Credentials } from './credentials.ts';
import { beginInstances, setUpInstances } from './instances.ts';
import { startService } from './service.ts';
import { startVendors, type SeededVendors } from './vendors.ts';

export interface EmbeddedStack {
  readonly credentials: Credentials;
  readonly sandbox: Sandbox;
  readonly seeded: SeededVendors;
  /** Resolves if a part ends by itself; never otherwise. */
  readonly failed: Promise<ServersError>;
  /** Ends every part, the servers last. Safe to call twice. */
  readonly stop: () => Promise<void>;
}

type ServiceName = keyof typeof processDuties;

/** Throws ServersError or ConfigError; what had been started by then is stopped first. */
export const startStack = async (
  config: Config,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<EmbeddedStack> => {
  const { data } = config.folders;
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).toReversed()) await end().catch(() => undefined);
  };
  try {
    const servers = await startServers({
      env,
      dataFolder: data,
      ports: {
        mongodb: { kind: 'fixed', port: config.mongodb.embeddedPort, setting: 'TRAILKEEPER_MONGODB_PORT' },
        temporal: { kind: 'fixed', port: config.temporal.embeddedPort, setting: 'TRAILKEEPER_TEMPORAL_PORT' },
      },
      namespace: config.temporal.namespace,
      say,
    });
    stops.push(() => servers.stop());
    const { adminUri } = servers.mongodb;
    const passwords = ensureDutyPasswords(config.folders.secrets);
    await provision(adminUri, passwords);
    say('MongoDB: control database, roles and users are there');

    const { sandbox, seeded } = await startVendors(data, config.sandboxPort);
    stops.push(() => sandbox.stop());
    say(`sandbox: stand-ins of Salesforce, Slack, Gmail and Jira on ports ${config.sandboxPort + 1} and on`);

    const options = { config, adminUri, passwords };
    await beginInstances(options);
    const services: ServerChild[] = [];
    const service = async (name: ServiceName) => {
      const { host, port } = config[name];
      const child = await startService({
        name,
        entry: `stack/${name}.ts`,
        env: { ...env, ...serviceEnvironment(name, servers, passwords, config) },
        port,
        portSetting: `TRAILKEEPER_${name.toUpperCase()}_PORT`,
        healthUrl: `http://${host}:${port}/${name === 'api' ? 'readyz' : 'healthz'}`,
        dataFolder: data,
        say,
      });
      services.push(child);
      stops.push(() => child.stop());
      say(`${name}: ready on ${host}:${port}`);
    };
    await service('worker');
    const credentials = await setUpInstances(options, { urls: sandbox.urls, credentials: sandbox.credentials });
    say(`instances: ${demoInstances.join(' and ')} are set up; tokens are in ${join(data, 'credentials.json')}`);
    await service('maintenance');
    await service('api');
    return { credentials, sandbox, seeded, failed: firstFailure(servers, services), stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

const provision = async (adminUri: string, passwords: Record<Duty, string>): Promise<void> => {
  const admin = await MongoClient.connect(adminUri);
  try {
    await provisionDatabase(admin, { instances: [], passwords });
  } finally {
    await admin.close();
  }
};

/**
 * A service gets the passwords of its own duties, and not the folder of all of them; the administrator's, in MongoDB's
 * address, the maintenance process alone.
 */
const serviceEnvironment = (
  name: ServiceName,
  servers: Servers,
  passwords: Readonly<Record<Duty, string>>,
  config: Config,
): NodeJS.ProcessEnv => {
  const own: readonly Duty[] = processDuties[name];
  return {
    MONGODB_URI: name === 'maintenance' ? servers.mongodb.adminUri : withoutUser(servers.mongodb.adminUri),
    TEMPORAL_ADDRESS: servers.temporal.address,
    TRAILKEEPER_PUBLIC_URL: config.publicUrl,
    TRAILKEEPER_WITNESS_LOOPBACK: 'true',
    TRAILKEEPER_SECRETS_DIR: join(config.folders.data, name, 'secrets'),
    ...Object.fromEntries(own.map((duty) => [passwordSetting(duty), passwords[duty]])),
  };
};

/** Hosts and options of a connection string, by way of a duty's, which keeps no credentials of the original. */
const withoutUser = (uri: string): string => dutyUri(uri, 'reader', '-').replace(/\/\/[^@]*@/, '//');

const firstFailure = (servers: Servers, services: readonly ServerChild[]): Promise<ServersError> =>
  Promise.race([
    servers.failed,
    ...services.map((child) =>
      child.ended.then(() => new ServersError('SERVER_FAILED', `A process ended by itself. ${child.logTail()}`)),
    ),
  ]);
