/**
 * Brings mongods with `--replSet --auth` into service: initiated, with a primary and the administrator. Every step looks
 * at what is there first, so a crash between two of them is made good by the next run.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient, MongoServerError, type Document } from 'mongodb';
import { ServersError } from './errors.ts';

export const replicaSetName = 'rs0';

export interface ReplicaSetOptions {
  /** Of the member on 127.0.0.1 that is spoken to. */
  readonly port: number;
  /** host:port of each member, that one first; absent for a set of one that follows its port. */
  readonly members?: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly timeoutMs: number;
}

/** Codes of https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
const mongoCode = { unauthorized: 13, authenticationFailed: 18, alreadyInitialized: 23, notYetInitialized: 94 };

export async function prepareReplicaSet(options: ReplicaSetOptions): Promise<void> {
  const admin = await authenticate(options);
  const client = admin ?? (await connect(options, false));
  try {
    if (admin === undefined) {
      await initiate(client, options);
      await awaitPrimary(client, options);
      await createRoot(client, options);
    } else if (options.members === undefined) {
      await followPort(client, options);
      await awaitPrimary(client, options);
    }
  } finally {
    await client.close();
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

/**
 * Before there is a user, the localhost exception lets a client on loopback initiate, configure and create the first
 * user. A member whose configuration names another port finds itself in no set, as one that was never initiated; so it
 * is the refusal to initiate that tells the two apart.
 */
async function initiate(client: MongoClient, options: ReplicaSetOptions): Promise<void> {
  const db = client.db('admin');
  const config = { _id: replicaSetName, version: 1, members: membersOf(options) };
  await untilInitialised(options, async () => {
    const hello = await db.command({ hello: 1 });
    if (hello['setName'] !== undefined) return;
    try {
      await db.command({ replSetInitiate: config });
    } catch (error) {
      if (hasCode(error, mongoCode.unauthorized)) throw passwordLost(options.user, error);
      if (!hasCode(error, mongoCode.alreadyInitialized) || options.members !== undefined) throw error;
      await db.command({ replSetReconfig: config, force: true });
    }
  });
}

/** The member that is spoken to becomes the primary, since the first user can only be made there. */
const membersOf = ({ port, members = [`127.0.0.1:${port}`] }: ReplicaSetOptions) =>
  members.map((host, index) => ({ _id: index, host, priority: index === 0 ? 2 : 1 }));

/** For some moments after its start, a member has not yet read whether it belongs to a set. */
async function untilInitialised<T>({ timeoutMs }: ReplicaSetOptions, work: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, mongoCode.notYetInitialized) || performance.now() > deadlineMs) throw error;
      await delay(50);
    }
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
    throw hasCode(error, mongoCode.unauthorized) ? passwordLost(user, error) : error;
  }
}

const passwordLost = (user: string, cause: unknown): ServersError =>
  new ServersError(
    'DATA_FOLDER_UNUSABLE',
    `MongoDB's data holds users already, but the password in root-password does not open it for ${user}. ` +
      'Restore that file beside the data, or move the data folder away to begin anew.',
    { cause },
  );

/** The configuration names the member by its port: after the port setting changed, the member would not find itself. */
async function followPort(admin: MongoClient, options: ReplicaSetOptions): Promise<void> {
  const db = admin.db('admin');
  const { config } = (await untilInitialised(options, () => db.command({ replSetGetConfig: 1 }))) as {
    config: Document;
  };
  const members = config['members'] as Document[];
  const host = `127.0.0.1:${options.port}`;
  if (members.length === 1 && members[0]?.['host'] === host) return;
  await db.command({
    replSetReconfig: { ...config, version: Number(config['version']) + 1, members: [{ ...members[0], _id: 0, host }] },
    force: true,
  });
}

const hasCode = (error: unknown, code: number): boolean => error instanceof MongoServerError && error.code === code;
