/**
 * Brings a mongod with `--replSet --auth` into service: initiated, led by itself at its present port, with its
 * administrator. Every step looks at what is there first, so a crash between two of them is made good by the next start.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient, MongoServerError, type Document } from 'mongodb';
import { ServersError } from './errors.ts';

export const replicaSetName = 'rs0';

export interface ReplicaSetOptions {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly timeoutMs: number;
}

/** Codes of https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
const mongoCode = { unauthorized: 13, authenticationFailed: 18, alreadyInitialized: 23 };

export async function prepareReplicaSet(options: ReplicaSetOptions): Promise<void> {
  // Before there is a user, the localhost exception lets a client on loopback initiate and create the first one.
  const anonymous = await connect(options, false);
  try {
    const hello = await anonymous.db('admin').command({ hello: 1 });
    if (hello['setName'] === undefined && hello['isreplicaset'] === true) await initiate(anonymous, options);
    const admin = await authenticate(options);
    if (admin === undefined) {
      await awaitPrimary(anonymous, options);
      await createRoot(anonymous, options);
      return;
    }
    try {
      await followPort(admin, options);
      await awaitPrimary(admin, options);
    } finally {
      await admin.close();
    }
  } finally {
    await anonymous.close();
  }
}

async function connect({ port, user, password, timeoutMs }: ReplicaSetOptions, asRoot: boolean): Promise<MongoClient> {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: timeoutMs,
    ...(asRoot ? { auth: { username: user, password }, authSource: 'admin' } : {}),
  });
  await client.connect();
  return client;
}

/** Undefined while the user does not exist. */
async function authenticate(options: ReplicaSetOptions): Promise<MongoClient | undefined> {
  try {
    return await connect(options, true);
  } catch (error) {
    if (hasCode(error, mongoCode.authenticationFailed)) return undefined;
    throw error;
  }
}

async function initiate(client: MongoClient, { port }: ReplicaSetOptions): Promise<void> {
  const config = { _id: replicaSetName, members: [{ _id: 0, host: `127.0.0.1:${port}` }] };
  try {
    await client.db('admin').command({ replSetInitiate: config });
  } catch (error) {
    if (!hasCode(error, mongoCode.alreadyInitialized)) throw error;
  }
}

async function awaitPrimary(client: MongoClient, { timeoutMs }: ReplicaSetOptions): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const hello = await client.db('admin').command({ hello: 1 });
    if (hello['isWritablePrimary'] === true) return;
    if (performance.now() > deadlineMs) throw new Error(`no primary after ${timeoutMs / 1000} s`);
    await delay(50);
  }
}

async function createRoot(anonymous: MongoClient, { user, password }: ReplicaSetOptions): Promise<void> {
  const admin = anonymous.db('admin');
  try {
    await admin.command({
      createUser: user,
      pwd: password,
      roles: [{ role: 'root', db: 'admin' }],
      writeConcern: { w: 'majority', j: true },
    });
  } catch (error) {
    if (!hasCode(error, mongoCode.unauthorized)) throw error;
    throw new ServersError(
      'DATA_FOLDER_UNUSABLE',
      `MongoDB's data holds users already, but the password in root-password does not open it for ${user}. ` +
        'Restore that file beside the data, or move the data folder away to begin anew.',
      { cause: error },
    );
  }
}

/** The configuration names the member by its port: after the port setting changed, the member would not find itself. */
async function followPort(admin: MongoClient, { port }: ReplicaSetOptions): Promise<void> {
  const db = admin.db('admin');
  const { config } = (await db.command({ replSetGetConfig: 1 })) as { config: Document };
  const members = config['members'] as Document[];
  const host = `127.0.0.1:${port}`;
  if (members.length === 1 && members[0]?.['host'] === host) return;
  await db.command({
    replSetReconfig: { ...config, version: Number(config['version']) + 1, members: [{ ...members[0], _id: 0, host }] },
    force: true,
  });
}

const hasCode = (error: unknown, code: number): boolean => error instanceof MongoServerError && error.code === code;
