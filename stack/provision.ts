/**
 * The provisioning job (`node stack/provision.ts`): makes MongoDB ready for the processes, then ends. It
 * creates no instances: those come by the steps of activities/instances/ alone. Safe to run again at any time, and to run at each
 * deployment. Exits 0 when done, 1 with one message when it can't be.
 */
import { MongoClient } from 'mongodb';
import { checkAuthority } from '../store/provisioning/authority.ts';
import { duties, type Duty } from '../store/provisioning/duties.ts';
import { listFollowed } from '../store/instances.ts';
import { provisionDatabase } from '../store/provisioning/provision.ts';
import { ConfigError, loadConfig, type Config } from './config.ts';
import { ServersError } from './servers/errors.ts';
import { prepareReplicaSet } from './servers/replicaSet.ts';
import { passwordSetting } from './settings.ts';

/** MongoDB's own port: provisioning shares the network of the member through which the set is initiated. */
const memberPort = 27_017;

export async function provision(config: Config, say: (line: string) => void, port = memberPort): Promise<void> {
  const { adminUser, adminPassword, replicaSetMembers } = config.provisioning;
  const uri = adminUri(config);
  const passwords = allPasswords(config);
  if (replicaSetMembers !== undefined) {
    if (adminPassword === undefined) throw new ConfigError(['TRAILKEEPER_MONGODB_ADMIN_PASSWORD is not set']);
    await prepareReplicaSet({
      port,
      members: replicaSetMembers,
      user: adminUser,
      password: adminPassword,
      timeoutMs: 180_000,
    });
    say(`replica set of ${replicaSetMembers.length} members is initiated`);
  }
  const admin = await MongoClient.connect(uri);
  try {
    const authority = await checkAuthority(admin);
    if (authority.state === 'lacking') {
      throw new ServersError('MONGODB_UNFIT', `MongoDB can't be provisioned: ${authority.reason}.`);
    }
    // Those that are there get what a newer version adds.
    const instances = (await listFollowed(admin)).map(({ instance }) => instance);
    await provisionDatabase(admin, { instances, passwords });
    say(`provisioned the control database, the users of ${duties.length} duties, and ${instances.length} instances`);
  } finally {
    await admin.close();
  }
}

/** MONGODB_URI with its own user, or with the administrator's where it has none. Holds a password: never log it. */
export function adminUri(config: Config): string {
  const { uri } = config.mongodb;
  const { adminUser, adminPassword } = config.provisioning;
  if (uri === undefined) throw new ConfigError(['MONGODB_URI is not set']);
  if (/^[^/]*\/\/[^/?]*@/.test(uri)) return uri;
  if (adminPassword === undefined) {
    throw new ConfigError(['MONGODB_URI carries no user, and TRAILKEEPER_MONGODB_ADMIN_PASSWORD is not set']);
  }
  const user = `${encodeURIComponent(adminUser)}:${encodeURIComponent(adminPassword)}`;
  return uri.replace('://', `://${user}@`);
}

export function allPasswords({ mongodb: { passwords } }: Config): Record<Duty, string> {
  const missing = duties.filter((duty) => passwords[duty] === undefined);
  if (missing.length > 0) throw new ConfigError(missing.map((duty) => `${passwordSetting(duty)} is not set`));
  return passwords as Record<Duty, string>;
}

if (import.meta.main) {
  try {
    await provision(loadConfig(process.env), (line) => console.log(line));
  } catch (error) {
    const known = error instanceof ConfigError || error instanceof ServersError;
    // The driver's messages may repeat the connection string.
    console.error(
      known ? `${error.code}: ${error.message}` : `MongoDB can't be provisioned (${(error as Error).name})`,
    );
    process.exitCode = 1;
  }
}
