/** Rebuilds instances from their archives into an empty MongoDB: the one that is configured, or the embedded one. */
import { MongoClient } from 'mongodb';
import { rebuildInstance } from '../../store/rebuild-instance.ts';
import { checkAuthority } from '../../store/provisioning/authority.ts';
import type { Duty } from '../../store/provisioning/duties.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { archivesOf } from '../archiving.ts';
import type { Config } from '../config.ts';
import { openKeyProvider } from '../keys.ts';
import { adminUri, allPasswords } from '../provision.ts';
import { ensureDutyPasswords } from '../servers/dutyPasswords.ts';
import { ServersError } from '../servers/errors.ts';
import { startServers } from '../servers/servers.ts';
import { trustIn, type RecoveryArguments } from './arguments.ts';
import type { Telling } from './verify-archives.ts';

/** Throws ArchiveError with the first bad object; what was rebuilt by then is gone on with by the next call. */
export const rebuildInstallation = async (
  config: Config,
  env: NodeJS.ProcessEnv,
  { instances, keys, kept, json }: RecoveryArguments,
  { out, note }: Telling,
  signal: AbortSignal,
): Promise<void> => {
  const database = await openDatabase(config, env, note);
  const { admin } = database;
  try {
    await provisionDatabase(admin, { instances, passwords: database.passwords });
    const provider = openKeyProvider(config);
    const archiveOf = archivesOf(config.archive);
    for (const instance of instances) {
      const { closing, missing } = await rebuildInstance({
        store: await archiveOf(instance),
        instance,
        admin,
        keys: provider,
        trust: await trustIn(config, instance, keys, note),
        kept,
        signal,
        progress: (stage, entries, of) => note(`${instance}: ${stage}: ${entries} of ${of} entries`),
      });
      if (json) out(JSON.stringify({ instance, origin: closing.origin, size: missing.first, ...missing }));
      else for (const line of linesOf(instance, closing.origin, missing)) out(line);
    }
  } finally {
    await database.close();
  }
};

const linesOf = (
  instance: string,
  origin: string,
  missing: { readonly first: number; readonly size?: number },
): string[] => [
  `${instance}: rebuilt: ${missing.first} entries of ${origin}, verified against the archived checkpoint`,
  missing.size === undefined
    ? `${instance}: nothing is known to be younger than the archive; a checkpoint kept elsewhere would tell (--checkpoint)`
    : `${instance}: LOST: the entries from ${missing.first} to ${missing.size - 1} had been given out and are not in the archive`,
  `${instance}: its log is closed. Two people let it go on: npx trailkeeper rebuild approve --size ${missing.first} --reason ...`,
];

interface Database {
  readonly admin: MongoClient;
  readonly passwords: Readonly<Record<Duty, string>>;
  close(): Promise<void>;
}

const openDatabase = async (config: Config, env: NodeJS.ProcessEnv, note: Telling['note']): Promise<Database> => {
  if (config.mongodb.uri !== undefined) {
    const admin = await MongoClient.connect(adminUri(config));
    const authority = await checkAuthority(admin);
    if (authority.state === 'lacking') {
      await admin.close();
      throw new ServersError('MONGODB_UNFIT', `MongoDB can't be provisioned: ${authority.reason}.`);
    }
    return { admin, passwords: allPasswords(config), close: () => admin.close() };
  }
  const servers = await startServers({
    env,
    dataFolder: config.folders.data,
    ports: {
      mongodb: { kind: 'fixed', port: config.mongodb.embeddedPort, setting: 'TRAILKEEPER_MONGODB_PORT' },
      temporal: { kind: 'fixed', port: config.temporal.embeddedPort, setting: 'TRAILKEEPER_TEMPORAL_PORT' },
    },
    namespace: config.temporal.namespace,
    say: note,
  });
  const admin = await MongoClient.connect(servers.mongodb.adminUri);
  return {
    admin,
    passwords: ensureDutyPasswords(config.folders.secrets),
    async close() {
      await admin.close();
      await servers.stop();
    },
  };
};
