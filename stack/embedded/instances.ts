/** Sets the instances of a local start up, and keeps their tokens in the credentials file. */
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { openControlState } from '../../store/control-state.ts';
import { ensureInstance } from '../../store/instances.ts';
import { dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { openTrail } from '../../trail/trail.ts';
import type { Config } from '../config.ts';
import { demoInstances, demoSpec, type DemoInstance, type DemoVendors } from '../provision/demo.ts';
import { provisionInstance } from '../provision/provision-instance.ts';
import { readCredentials, writeCredentials, type Credentials } from './credentials.ts';

const needed = ['provisioner', 'appender', 'anchor', 'reader', 'applier'] as const satisfies readonly Duty[];
type Clients = Record<(typeof needed)[number], MongoClient>;

const withClients = async <T>(
  adminUri: string,
  passwords: Readonly<Record<Duty, string>>,
  work: (clients: Clients) => Promise<T>,
): Promise<T> => {
  const clients = Object.fromEntries(
    needed.map((duty) => [duty, new MongoClient(dutyUri(adminUri, duty, passwords[duty]))]),
  ) as Clients;
  try {
    return await work(clients);
  } finally {
    await Promise.all(Object.values(clients).map((client) => client.close()));
  }
};

export interface SetUpOptions {
  readonly config: Config;
  readonly adminUri: string;
  readonly passwords: Readonly<Record<Duty, string>>;
}

/** The instances' records: what the worker needs to follow their logs. */
export const recordInstances = ({ config, adminUri, passwords }: SetUpOptions): Promise<void> =>
  withClients(adminUri, passwords, async ({ provisioner }) => {
    const logHost = config.publicUrl.replace(/^https?:\/\//, '');
    for (const instance of demoInstances)
      await ensureInstance(provisioner, instance as InstanceId, logHost, new Date());
  });

/** Needs a running worker, which applies the control entries. Returns what stands in the credentials file. */
export const setUpInstances = (options: SetUpOptions, vendors: DemoVendors): Promise<Credentials> =>
  withClients(options.adminUri, options.passwords, async (clients) => {
    const { config } = options;
    const keys = await openFileKeyProvider(config.folders.keys);
    const known = await readCredentials(config.folders.data);
    const credentials: Credentials = { ...known, endpoint: `${config.publicUrl}/graphql`, instances: {} };
    for (const name of demoInstances) {
      const tokens = known?.instances[name]?.tokens ?? {};
      credentials.instances[name] = await setUp(name, { config, clients, keys, vendors, tokens }, (entry) => {
        credentials.instances[name] = entry;
        return writeCredentials(config.folders.data, {
          ...credentials,
          instances: { ...known?.instances, ...credentials.instances },
        });
      });
    }
    await writeCredentials(config.folders.data, credentials);
    return credentials;
  });

type InstanceCredentials = Credentials['instances'][string];

const setUp = async (
  name: DemoInstance,
  parts: {
    readonly config: Config;
    readonly clients: Clients;
    readonly keys: Awaited<ReturnType<typeof openFileKeyProvider>>;
    readonly vendors: DemoVendors;
    readonly tokens: Readonly<Record<string, string>>;
  },
  keep: (entry: InstanceCredentials) => Promise<void>,
): Promise<InstanceCredentials> => {
  const { config, clients, keys } = parts;
  const instance = name as InstanceId;
  const { origin } = await ensureInstance(clients.provisioner, instance, '', new Date());
  const trail = await openTrail(instance, origin, { clients, keys });
  const log = `${new URL(config.publicUrl).protocol}//${origin}`;
  const spec = demoSpec(name, parts.vendors);
  const principals = Object.fromEntries(spec.tokens.map(({ token, principal }) => [token, principal]));
  const entry = (tokens: Readonly<Record<string, string>>): InstanceCredentials => ({
    log,
    vkey: trail.vkey,
    tokens: { ...tokens },
    principals,
  });
  const { tokens } = await provisionInstance({
    clients,
    keys,
    trail,
    state: openControlState(clients.reader, instance),
    spec,
    knownTokens: parts.tokens,
    keepTokens: (secrets) => keep(entry(secrets)),
    nowMs: Date.now,
    waitMs: 120_000,
  });
  return entry(tokens);
};
