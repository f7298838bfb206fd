/**
 * Every setting of the processes: what it means, who reads it, what it may be, what it is by default. Nothing else reads
 * the environment (config.ts reads it through this table), and docker-compose.yml is tested against it both ways.
 */
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { principalIdPattern } from '../schema/ids.ts';
import { duties, type Duty } from '../store/provisioning/duties.ts';
import { providerKinds } from '../trail/keys/provider.ts';
import { parseArchivePlace } from '../trail/archive/place.ts';

const repositoryRoot = resolve(import.meta.dirname, '..');

const port = z.coerce.number('must be a port').int('must be a port').min(1).max(65_535);
const folder = z.string().transform((path) => (isAbsolute(path) ? path : resolve(path)));
const host = z.string().regex(/^[A-Za-z0-9.:-]+$/, 'must be a host name or an address');
const hostAndPortPattern = /^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/;
const password = z.string().min(8, 'must have at least 8 characters').optional();
const mongodbUri = z.string().regex(/^mongodb(\+srv)?:\/\/./, 'must be a connection string (mongodb://host:port/...)');

const archivePlace = z.string().transform((text, context) => {
  const place = parseArchivePlace(text.startsWith('s3://') || isAbsolute(text) ? text : resolve(text));
  if (place) return place;
  context.addIssue('must be a folder, or s3://<bucket>[/<prefix>] with {instance} in the bucket or the prefix');
  return z.NEVER;
});

const publicUrl = z.url({ protocol: /^https?$/, error: 'must be a URL (https://...)' }).transform((url, context) => {
  const { search, hash, username } = new URL(url);
  if (search !== '' || hash !== '' || username !== '') {
    context.addIssue('must have no query, fragment or user');
    return z.NEVER;
  }
  return url.replace(/\/+$/, '');
});

/** A list separated by commas, each of which `pattern` describes. */
const list = <T extends string>(pattern: RegExp, what: string) =>
  z.string().transform((text, context) => {
    const names = text.split(',').map((name) => name.trim());
    const wrong = names.find((name) => !pattern.test(name));
    if (wrong === undefined) return names as T[];
    context.addIssue(`must be ${what}, separated by commas; "${wrong}" is none`);
    return z.NEVER;
  });

/**
 * `production`: the processes read it wherever they run. `administration`: what holds the administrator's connection does
 * (`stack/provision.ts`, `stack/maintenance.ts`). `provisioning`, `maintenance`: only the one of them. `embedded`: only
 * what runs on one machine (`npm start`).
 */
export type SettingScope = 'production' | 'administration' | 'provisioning' | 'maintenance' | 'embedded';

interface Setting<S extends z.ZodType = z.ZodType> {
  readonly meaning: string;
  readonly scope: SettingScope;
  readonly schema: S;
}

const setting = <S extends z.ZodType>(scope: SettingScope, schema: S, meaning: string): Setting<S> => ({
  meaning,
  scope,
  schema,
});

export const passwordSetting = (duty: Duty): string => `TRAILKEEPER_MONGODB_PASSWORD_${duty.toUpperCase()}`;

export const settings = {
  TRAILKEEPER_PUBLIC_URL: setting(
    'production',
    publicUrl.optional(),
    "The API's URL as clients see it; by default that of its host and port. Without its scheme it begins the origin " +
      'of each log, so it never changes.',
  ),
  TRAILKEEPER_API_HOST: setting('production', host.default('127.0.0.1'), 'Address that the API listens on.'),
  TRAILKEEPER_API_PORT: setting('production', port.default(4580), 'Port that the API listens on.'),
  TRAILKEEPER_WORKER_HOST: setting(
    'production',
    host.default('127.0.0.1'),
    'Address that /healthz of the worker listens on.',
  ),
  TRAILKEEPER_WORKER_PORT: setting('production', port.default(4581), 'Port that /healthz of the worker listens on.'),
  MONGODB_URI: setting(
    'production',
    mongodbUri.optional(),
    "MongoDB's connection string. Each process puts the users of its duties into it. For `npm start` it carries a user " +
      'who may create users and roles; unset, `npm start` brings its own MongoDB.',
  ),
  TEMPORAL_ADDRESS: setting(
    'production',
    z.string().regex(hostAndPortPattern, 'must be host:port').optional(),
    "Temporal's frontend, host:port; unset, `npm start` brings its own Temporal.",
  ),
  TEMPORAL_NAMESPACE: setting('production', z.string().default('trailkeeper'), "Temporal's namespace; it must exist."),
  TRAILKEEPER_DATA_DIR: setting(
    'production',
    folder.default(join(repositoryRoot, '.trailkeeper')),
    'Folder of what is kept on this machine.',
  ),
  TRAILKEEPER_KEYS_DIR: setting(
    'production',
    folder.optional(),
    'Folder of the file key provider, the same for the API and the worker; by default keys/ in the data folder.',
  ),
  TRAILKEEPER_KEYS: setting(
    'production',
    z.enum(providerKinds, `must be one of ${providerKinds.join(', ')}`).default('file'),
    'Who keeps the epoch keys: `file` (a folder, for one machine) or `aws-kms`. The same for all processes (docs/keys.md).',
  ),
  TRAILKEEPER_KEYS_KMS_REGION: setting(
    'production',
    z
      .string()
      .regex(/^[a-z0-9-]+$/, 'must be the name of a region')
      .optional(),
    'Region of the KMS keys. Credentials come from where the AWS SDK looks for them.',
  ),
  TRAILKEEPER_KEYS_KMS_ENDPOINT: setting(
    'production',
    z.url({ protocol: /^https?$/, error: 'must be a URL' }).optional(),
    "KMS endpoint, instead of the region's own.",
  ),
  TRAILKEEPER_KEYS_KMS_PREFIX: setting(
    'production',
    z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, - and _')
      .default('trailkeeper'),
    'Begins the aliases of the KMS keys: alias/<prefix>/<instance>/<epoch>. One for each installation.',
  ),
  TRAILKEEPER_KEYS_KMS_PENDING_DAYS: setting(
    'production',
    z.coerce.number('must be a number of days').int().min(7, 'must be 7 to 30').max(30, 'must be 7 to 30').default(30),
    'Days between asking KMS to delete a key and its being gone, 7 to 30.',
  ),
  TRAILKEEPER_INTROSPECTION: setting(
    'production',
    z.stringbool('must be true or false').default(false),
    'Whether GraphQL introspection is answered.',
  ),
  TRAILKEEPER_HORIZON_DAYS: setting(
    'production',
    z.coerce.number('must be a number of days').positive().max(3650).default(30),
    'Event ids whose time is further back are refused (ID_TOO_OLD), in days.',
  ),
  TRAILKEEPER_SELF_CHECK_SAMPLE_HOURS: setting(
    'production',
    z.coerce.number('must be a number of hours').positive().max(168).default(24),
    'How often a sample of each log is checked against its copies, in hours.',
  ),
  TRAILKEEPER_SELF_CHECK_FULL_HOURS: setting(
    'production',
    z.coerce.number('must be a number of hours').positive().max(744).default(168),
    'How often all of each log is, in hours.',
  ),
  TRAILKEEPER_SELF_CHECK_SAMPLED_ENTRIES: setting(
    'production',
    z.coerce.number('must be a number of entries').int().min(10).max(1_000_000).default(1000),
    'Entries that a sample draws.',
  ),
  TRAILKEEPER_SELF_CHECK_ENTRIES_PER_SECOND: setting(
    'production',
    z.coerce.number('must be a number of entries').int().min(10).max(1_000_000).default(5000),
    'How fast a check reads at most, in entries a second.',
  ),
  TRAILKEEPER_WITNESS_SECONDS: setting(
    'production',
    z.coerce.number('must be a number of seconds').min(1).max(3600).default(5),
    'How often the newest checkpoint is submitted to the witnesses of an instance, in seconds.',
  ),
  TRAILKEEPER_WITNESS_LOOPBACK: setting(
    'production',
    z.stringbool('must be true or false').default(false),
    'Whether witnesses on this machine may be asked, by http: for development. `npm start` allows it.',
  ),
  TRAILKEEPER_ARCHIVE: setting(
    'production',
    archivePlace.optional(),
    'Where archives are: a folder, or s3://<bucket>[/<prefix>] with {instance} in it; by default archive/ in the data ' +
      'folder. A bucket needs Object Lock.',
  ),
  TRAILKEEPER_ARCHIVE_ENDPOINT: setting(
    'production',
    z.url({ protocol: /^https?$/, error: 'must be a URL (https://...)' }).optional(),
    'Address of an S3 storage that is not AWS.',
  ),
  TRAILKEEPER_ARCHIVE_REGION: setting(
    'production',
    z
      .string()
      .regex(/^[a-z0-9-]+$/, 'must be a region')
      .default('us-east-1'),
    'Region of the S3 storage.',
  ),
  TRAILKEEPER_ARCHIVE_CREDENTIALS_DIR: setting(
    'production',
    folder.optional(),
    'Folder of S3 credentials, one an instance: <instance>.json, mode 600, {"accessKeyId", "secretAccessKey"}. Unset, the ' +
      "SDK's chain is asked (environment, role of the machine): for an installation of one instance.",
  ),
  TRAILKEEPER_ARCHIVE_SECONDS: setting(
    'production',
    z.coerce.number('must be a number of seconds').min(1).max(3600).default(10),
    'New entries are in the archive at the latest after this time, in seconds.',
  ),
  TRAILKEEPER_ARCHIVE_LAG_SECONDS: setting(
    'production',
    z.coerce.number('must be a number of seconds').min(1).max(604_800).default(60),
    'From this lag of the archive on an alarm is raised, in seconds, where the instance does not set its own.',
  ),
  TRAILKEEPER_ARCHIVE_LOCK_DAYS: setting(
    'production',
    z.coerce.number('must be a number of days').min(1).max(3650).default(30),
    'How long objects are locked in S3, in days; extended again and again before they end.',
  ),
  TRAILKEEPER_MAINTENANCE_HOST: setting(
    'maintenance',
    host.default('127.0.0.1'),
    'Address that /healthz of the maintenance process listens on.',
  ),
  TRAILKEEPER_MAINTENANCE_PORT: setting(
    'maintenance',
    port.default(4582),
    'Port that /healthz of the maintenance process listens on.',
  ),
  TRAILKEEPER_PROBE_URL: setting(
    'maintenance',
    publicUrl.optional(),
    'URL under which the maintenance process reaches the API; by default the public one.',
  ),
  TRAILKEEPER_PROBE_MINUTES: setting(
    'maintenance',
    z.coerce.number('must be a number of minutes').min(1).max(10_080).default(60),
    'How often the platform tries to cross the boundaries between instances, in minutes.',
  ),
  TRAILKEEPER_PLATFORM_ADMIN: setting(
    'maintenance',
    z.string().regex(principalIdPattern, 'must be the name of a principal').default('operator'),
    'The first operator of the platform: who may create instances.',
  ),
  TRAILKEEPER_PLATFORM_TOKEN_SHA256: setting(
    'maintenance',
    z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256, 64 lower-case hex digits')
      .optional(),
    'SHA-256 of their token, `tk_platform_admin_` and 32 random bytes in base64url, which only they keep. Needed at the ' +
      'first start.',
  ),
  TRAILKEEPER_MONGODB_ADMIN_USER: setting(
    'administration',
    z.string().default('root'),
    'Who provisions, where MONGODB_URI carries no user.',
  ),
  TRAILKEEPER_MONGODB_ADMIN_PASSWORD: setting('administration', password, 'Their password.'),
  TRAILKEEPER_REPLICA_SET_MEMBERS: setting(
    'provisioning',
    list(hostAndPortPattern, 'host:port').optional(),
    'Members of a new replica set, host:port, separated by commas. When set, provisioning first initiates the set ' +
      'through the member that answers on 127.0.0.1:27017, and creates the administrator.',
  ),
  TRAILKEEPER_SECRETS_DIR: setting(
    'embedded',
    folder.optional(),
    'Folder of secrets that stand in for password variables not set: files mongodb-<duty>, mode 600; by default ' +
      'secrets/ in the data folder.',
  ),
  TRAILKEEPER_MONGODB_PORT: setting('embedded', port.default(27_117), 'Port of the embedded MongoDB.'),
  TRAILKEEPER_TEMPORAL_PORT: setting('embedded', port.default(7833), 'Port of the embedded Temporal.'),
  TRAILKEEPER_SANDBOX_PORT: setting(
    'embedded',
    port.max(65_530).default(4590),
    'Port of the sandbox of vendor stand-ins; it takes five, from this one on.',
  ),
  TRAILKEEPER_CACHE: setting(
    'embedded',
    folder.optional(),
    'Folder of server programs that were fetched; by default ~/.cache/trailkeeper.',
  ),
};

export const dutyPasswordSettings: Readonly<Record<string, Setting<typeof password>>> = Object.fromEntries(
  duties.map((duty) => [
    passwordSetting(duty),
    setting('production', password, `Password of the MongoDB user of the duty ${duty}.`),
  ]),
);
