/** The configuration of a process, from the environment and, for secrets, a folder (settings.ts says what there is). */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { duties, dutyUri, type Duty } from '../store/provisioning/duties.ts';
import type { KmsOptions } from '../trail/keys/kms-provider.ts';
import type { ProviderKind } from '../trail/keys/provider.ts';
import type { ArchivePlace } from '../trail/archive/place.ts';
import type { SelfCheckConfig } from './verifying.ts';
import { dutyPasswordSettings, passwordSetting, settings } from './settings.ts';

export interface Config {
  /** Without a slash at its end. */
  readonly publicUrl: string;
  readonly api: { readonly host: string; readonly port: number };
  readonly worker: { readonly host: string; readonly port: number };
  readonly mongodb: {
    /** Absent where the embedded server is to be started. May hold a password: never log it. */
    readonly uri?: string;
    readonly embeddedPort: number;
    readonly passwords: Readonly<Partial<Record<Duty, string>>>;
  };
  readonly temporal: { readonly address?: string; readonly namespace: string; readonly embeddedPort: number };
  readonly provisioning: {
    readonly adminUser: string;
    readonly adminPassword?: string;
    readonly replicaSetMembers?: readonly string[];
  };
  readonly maintenance: {
    readonly host: string;
    readonly port: number;
    /** Of the API, as this process reaches it. */
    readonly probeUrl: string;
    readonly probeEveryMs: number;
    readonly platformAdmin: string;
    readonly platformTokenSha256?: string;
  };
  /** The first of five. */
  readonly sandboxPort: number;
  readonly folders: { readonly data: string; readonly keys: string; readonly secrets: string };
  readonly keys: { readonly provider: ProviderKind; readonly kms: KmsOptions };
  readonly introspection: boolean;
  readonly selfCheck: SelfCheckConfig;
  readonly witnesses: { readonly intervalMs: number; readonly loopback: boolean };
  readonly archive: {
    readonly place: ArchivePlace;
    readonly endpoint?: string;
    readonly region: string;
    readonly credentialsFolder?: string;
    readonly lockMs: number;
    readonly gatherMs: number;
    readonly lagMsMax: number;
  };
  readonly horizonMs: number;
}

/** `problems` has one line each, naming the setting; none shows the value of a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG_INVALID';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration can't be used:\n${problems.map((line) => `  - ${line}`).join('\n')}`);
    this.problems = problems;
  }
}

/** Which MongoDB users a process holds: those of its duties and no others. */
export const processDuties = {
  api: ['appender', 'anchor', 'reader'],
  worker: ['appender', 'anchor', 'reader', 'projector', 'applier', 'keeper', 'witness', 'archiver'],
  /** Besides these, the administrator's connection. */
  maintenance: ['appender', 'anchor', 'reader', 'provisioner'],
} as const satisfies Record<string, readonly Duty[]>;

type Values = { readonly [K in keyof typeof settings]: z.infer<(typeof settings)[K]['schema']> };

/** An empty variable counts as not set: that is what compose files make of an absent one. Throws `ConfigError`. */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const problems: string[] = [];
  const read = (name: string, schema: z.ZodType): unknown => {
    const parsed = schema.safeParse(env[name] === '' ? undefined : env[name]);
    if (parsed.success) return parsed.data;
    problems.push(`${name} ${parsed.error.issues[0]?.message ?? 'is not valid'}`);
    return undefined;
  };
  const value = Object.fromEntries(
    Object.entries(settings).map(([name, { schema }]) => [name, read(name, schema)]),
  ) as Values;
  const secrets = value.TRAILKEEPER_SECRETS_DIR ?? join(value.TRAILKEEPER_DATA_DIR ?? '', 'secrets');
  const passwords: Partial<Record<Duty, string>> = {};
  for (const duty of duties) {
    const name = passwordSetting(duty);
    const given = read(name, dutyPasswordSettings[name]?.schema as z.ZodType) as string | undefined;
    const password = given ?? readSecret(join(secrets, secretName(duty)), problems);
    if (password !== undefined) passwords[duty] = password;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const { TRAILKEEPER_API_HOST: host, TRAILKEEPER_API_PORT: port } = value;
  return {
    publicUrl: value.TRAILKEEPER_PUBLIC_URL ?? localUrl(host, port),
    api: { host, port },
    worker: { host: value.TRAILKEEPER_WORKER_HOST, port: value.TRAILKEEPER_WORKER_PORT },
    mongodb: {
      ...present('uri', value.MONGODB_URI),
      embeddedPort: value.TRAILKEEPER_MONGODB_PORT,
      passwords,
    },
    temporal: {
      ...present('address', value.TEMPORAL_ADDRESS),
      namespace: value.TEMPORAL_NAMESPACE,
      embeddedPort: value.TRAILKEEPER_TEMPORAL_PORT,
    },
    provisioning: {
      adminUser: value.TRAILKEEPER_MONGODB_ADMIN_USER,
      ...present('adminPassword', value.TRAILKEEPER_MONGODB_ADMIN_PASSWORD),
      ...present('replicaSetMembers', value.TRAILKEEPER_REPLICA_SET_MEMBERS),
    },
    maintenance: {
      host: value.TRAILKEEPER_MAINTENANCE_HOST,
      port: value.TRAILKEEPER_MAINTENANCE_PORT,
      probeUrl: value.TRAILKEEPER_PROBE_URL ?? value.TRAILKEEPER_PUBLIC_URL ?? localUrl(host, port),
      probeEveryMs: value.TRAILKEEPER_PROBE_MINUTES * 60_000,
      platformAdmin: value.TRAILKEEPER_PLATFORM_ADMIN,
      ...present('platformTokenSha256', value.TRAILKEEPER_PLATFORM_TOKEN_SHA256),
    },
    sandboxPort: value.TRAILKEEPER_SANDBOX_PORT,
    folders: {
      data: value.TRAILKEEPER_DATA_DIR,
      keys: value.TRAILKEEPER_KEYS_DIR ?? join(value.TRAILKEEPER_DATA_DIR, 'keys'),
      secrets,
    },
    keys: {
      provider: value.TRAILKEEPER_KEYS,
      kms: {
        ...present('region', value.TRAILKEEPER_KEYS_KMS_REGION),
        ...present('endpoint', value.TRAILKEEPER_KEYS_KMS_ENDPOINT),
        prefix: value.TRAILKEEPER_KEYS_KMS_PREFIX,
        pendingDays: value.TRAILKEEPER_KEYS_KMS_PENDING_DAYS,
      },
    },
    introspection: value.TRAILKEEPER_INTROSPECTION,
    selfCheck: {
      intervalsMs: {
        sample: value.TRAILKEEPER_SELF_CHECK_SAMPLE_HOURS * 3_600_000,
        full: value.TRAILKEEPER_SELF_CHECK_FULL_HOURS * 3_600_000,
      },
      rates: {
        sampledEntries: value.TRAILKEEPER_SELF_CHECK_SAMPLED_ENTRIES,
        entriesPerSecond: value.TRAILKEEPER_SELF_CHECK_ENTRIES_PER_SECOND,
      },
    },
    witnesses: {
      intervalMs: value.TRAILKEEPER_WITNESS_SECONDS * 1000,
      loopback: value.TRAILKEEPER_WITNESS_LOOPBACK,
    },
    archive: {
      place: value.TRAILKEEPER_ARCHIVE ?? { kind: 'folder', folder: join(value.TRAILKEEPER_DATA_DIR, 'archive') },
      ...present('endpoint', value.TRAILKEEPER_ARCHIVE_ENDPOINT),
      region: value.TRAILKEEPER_ARCHIVE_REGION,
      ...present('credentialsFolder', value.TRAILKEEPER_ARCHIVE_CREDENTIALS_DIR),
      lockMs: value.TRAILKEEPER_ARCHIVE_LOCK_DAYS * 86_400_000,
      gatherMs: value.TRAILKEEPER_ARCHIVE_SECONDS * 1000,
      lagMsMax: value.TRAILKEEPER_ARCHIVE_LAG_SECONDS * 1000,
    },
    horizonMs: value.TRAILKEEPER_HORIZON_DAYS * 86_400_000,
  };
}

/** The file of a duty's password in the folder of secrets. */
export const secretName = (duty: Duty): string => `mongodb-${duty}`;

/** For a process that runs apart from its servers. Throws `ConfigError` naming what is missing. */
export function requireServers(config: Config): { readonly mongodbUri: string; readonly temporalAddress: string } {
  const { uri } = config.mongodb;
  const { address } = config.temporal;
  if (uri !== undefined && address !== undefined) return { mongodbUri: uri, temporalAddress: address };
  const missing = [uri === undefined ? 'MONGODB_URI' : [], address === undefined ? 'TEMPORAL_ADDRESS' : []].flat();
  throw new ConfigError(missing.map((name) => `${name} is not set`));
}

/**
 * The connection strings of a process's duties at `baseUri`. They hold passwords: never log them. Throws `ConfigError`
 * naming each setting that is missing.
 */
export function dutyUris<D extends Duty>(config: Config, baseUri: string, needed: readonly D[]): Record<D, string> {
  const { passwords } = config.mongodb;
  const missing = needed.filter((duty) => passwords[duty] === undefined);
  if (missing.length > 0) {
    throw new ConfigError(
      missing.map(
        (duty) => `${passwordSetting(duty)} is not set, and ${config.folders.secrets} has no ${secretName(duty)}`,
      ),
    );
  }
  return Object.fromEntries(needed.map((duty) => [duty, dutyUri(baseUri, duty, passwords[duty] ?? '')])) as Record<
    D,
    string
  >;
}

/** A process that listens on every address is still reached under one. */
function localUrl(host: string, port: number): string {
  const reached = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
}

function readSecret(path: string, problems: string[]): string | undefined {
  try {
    if ((statSync(path).mode & 0o077) !== 0) problems.push(`${path} can be read by others: chmod 600 it`);
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') problems.push(`${path} can't be read (${code})`);
    return undefined;
  }
}

const present = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V };
