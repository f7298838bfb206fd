/** Sets the instances of a local start up, by the steps of every other, and keeps their tokens in the credentials file. */
import { MongoClient } from 'mongodb';
import { canaryInstance, platformInstance } from '../../domain/instances/names.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { openKeyProvider } from '../keys.ts';
import { archivesOf } from '../archiving.ts';
import type { Config } from '../config.ts';
import { beginOwnInstance, emptyArchive, type CreationParts, type OwnInstance } from '../provision/creation.ts';
import { demoInstances, demoSpec, type DemoVendors } from '../provision/demo.ts';
import { canarySpec, localPlatformSpec } from '../provision/platform.ts';
import type { InstanceSpec } from '../provision/spec.ts';
import { readCredentials, writeCredentials, type Credentials } from './credentials.ts';

const needed = ['provisioner', 'appender', 'anchor', 'reader', 'applier'] as const satisfies readonly Duty[];

export interface SetUpOptions {
  readonly config: Config;
  readonly adminUri: string;
  readonly passwords: Readonly<Record<Duty, string>>;
}

const withParts = async <T>(
  { config, adminUri, passwords }: SetUpOptions,
  work: (parts: CreationParts) => Promise<T>,
): Promise<T> => {
  const uris = [['admin', adminUri], ...needed.map((duty) => [duty, dutyUri(adminUri, duty, passwords[duty])])];
  const clients = Object.fromEntries(uris.map(([name, uri]) => [name, new MongoClient(uri!)])) as Record<
    (typeof needed)[number] | 'admin',
    MongoClient
  >;
  try {
    const keys = openKeyProvider(config);
    return await work({
      clients,
      keys,
      archive: emptyArchive(archivesOf(config.archive)),
      publicUrl: config.publicUrl,
    });
  } finally {
    await Promise.all(Object.values(clients).map((client) => client.close()));
  }
};

/** Without customers: nobody but the platform has a token for the canary. */
const platformInstances = [platformInstance, canaryInstance] as const;

/** Every step up to the first entries: what the worker needs to follow their logs. */
export const beginInstances = (options: SetUpOptions): Promise<void> =>
  withParts(options, async (parts) => {
    for (const instance of [...platformInstances, ...demoInstances])
      await beginOwnInstance(parts, instance as InstanceId);
  });

/** Needs a running worker, which applies the control entries. Returns what stands in the credentials file. */
export const setUpInstances = (options: SetUpOptions, vendors: DemoVendors): Promise<Credentials> =>
  withParts(options, async (parts) => {
    const { config } = options;
    const known = await readCredentials(config.folders.data);
    const credentials: Credentials = { ...known, endpoint: `${config.publicUrl}/graphql`, instances: {} };
    const setUp = async (name: string, spec: InstanceSpec): Promise<void> => {
      const own = await beginOwnInstance(parts, name as InstanceId);
      credentials.instances[name] = await furnished(
        own,
        spec,
        config,
        known?.instances[name]?.tokens ?? {},
        (entry) => {
          credentials.instances[name] = entry;
          return writeCredentials(config.folders.data, {
            ...credentials,
            instances: { ...known?.instances, ...credentials.instances },
          });
        },
      );
      await own.activate();
    };
    await setUp(platformInstance, localPlatformSpec);
    for (const name of demoInstances) await setUp(name, demoSpec(name, vendors));
    const canary = await beginOwnInstance(parts, canaryInstance);
    await canary.furnish(canarySpec, { waitMs });
    await canary.activate();
    await writeCredentials(config.folders.data, credentials);
    return credentials;
  });

const waitMs = 120_000;

type InstanceCredentials = Credentials['instances'][string];

const furnished = async (
  { trail, furnish }: OwnInstance,
  spec: InstanceSpec,
  config: Config,
  knownTokens: Readonly<Record<string, string>>,
  keep: (entry: InstanceCredentials) => Promise<void>,
): Promise<InstanceCredentials> => {
  const principals = Object.fromEntries(spec.tokens.map(({ token, principal }) => [token, principal]));
  const entry = (tokens: Readonly<Record<string, string>>): InstanceCredentials => ({
    log: `${new URL(config.publicUrl).protocol}//${trail.origin}`,
    vkey: trail.vkey,
    vkeys: trail.signing.known.map(({ vkey }) => vkey),
    tokens: { ...tokens },
    principals,
  });
  const { tokens } = await furnish(spec, { knownTokens, keepTokens: (secrets) => keep(entry(secrets)), waitMs });
  return entry(tokens);
};
