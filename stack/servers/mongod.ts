/**
 * The embedded MongoDB: a replica set of one, with authentication, on loopback. Its folder holds everything it needs
 * (data, key file, the administrator's password), so that a second start finds it as it was, also after kill -9.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { endOrphan, startChild, type ServerChild } from './child.ts';
import { ServersError } from './errors.ts';
import { claimPort, portTaken, type PortChoice } from './ports.ts';
import type { Program } from './program.ts';
import { telling } from './progress.ts';
import type { Say } from './registries.ts';
import { prepareReplicaSet, replicaSetName } from './replicaSet.ts';
import { secretFile } from './secretFile.ts';

export interface MongodOptions {
  readonly program: Program;
  /** Absolute. */
  readonly folder: string;
  readonly port: PortChoice;
  readonly say: Say;
  /** Allows `failCommand` and the like; for tests. */
  readonly testCommands?: boolean;
  readonly cacheSizeGb?: number;
}

export interface RunningMongod {
  readonly port: number;
  /** Of the administrator who may create users and roles. Holds a password: never log it. */
  readonly adminUri: string;
  readonly child: ServerChild;
}

export const rootUser = 'trailkeeper-root';
const readyTimeoutMs = 180_000;

/** Exit codes of mongod (https://www.mongodb.com/docs/manual/reference/exit-codes/). */
const exitCode = { needsUpgrade: 62, netError: 48, uncaught: 100 } as const;

export async function startMongod(options: MongodOptions): Promise<RunningMongod> {
  const { folder, say } = options;
  const data = join(folder, 'db');
  await mkdir(data, { recursive: true, mode: 0o700 });
  if ((await endOrphan(folder, 'mongod')) === 'ended')
    say('MongoDB: ended the server that a crashed start left behind');
  const keyFile = join(folder, 'keyfile');
  secretFile(keyFile, 'base64', 756);
  const password = secretFile(join(folder, 'root-password'), 'base64url', 32);
  const port = await claimPort(options.port, 'MongoDB');
  const child = startChild({
    name: 'mongod',
    program: options.program.path,
    folder,
    env: process.env,
    args: [
      '--dbpath',
      data,
      '--port',
      String(port),
      '--bind_ip',
      '127.0.0.1',
      '--nounixsocket',
      '--replSet',
      replicaSetName,
      '--auth',
      '--keyFile',
      keyFile,
      '--oplogSize',
      '1024',
      '--wiredTigerCacheSizeGB',
      String(options.cacheSizeGb ?? 1),
      '--setParameter',
      'diagnosticDataCollectionEnabled=false',
      // Nobody can take over from the only member: nothing to wait for at shutdown.
      '--setParameter',
      'shutdownTimeoutMillisForSignaledShutdown=100',
      ...(options.testCommands ? ['--setParameter', 'enableTestCommands=1'] : []),
    ],
  });
  try {
    const failure = child.ended.then(() => {
      throw endedEarly(child, options, port);
    });
    // Once ready, an end is the owner's matter (`child.ended`), not an error of the start.
    failure.catch(() => undefined);
    const ready = async () => {
      await awaitAnswer(port);
      await prepareReplicaSet({ port, user: rootUser, password, timeoutMs: readyTimeoutMs });
    };
    await telling('starting MongoDB', say, Promise.race([ready(), failure]));
  } catch (error) {
    await child.stop();
    throw error instanceof ServersError ? error : notReady(error, child);
  }
  const adminUri = `mongodb://${rootUser}:${password}@127.0.0.1:${port}/?replicaSet=${replicaSetName}&authSource=admin`;
  return { port, adminUri, child };
}

async function awaitAnswer(port: number): Promise<void> {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: readyTimeoutMs,
    heartbeatFrequencyMS: 500,
  });
  try {
    await client.connect();
  } finally {
    await client.close();
  }
}

function endedEarly(child: ServerChild, { port: choice, folder, program }: MongodOptions, port: number): ServersError {
  const log = child.logTail();
  const code = child.exitCode();
  if (code === exitCode.netError || /"Failed to set up listener|Address already in use/.test(log)) {
    return portTaken(port, choice.kind === 'fixed' ? choice.setting : 'the port', 'MongoDB');
  }
  if (code === exitCode.needsUpgrade || /UPGRADE PROBLEM|featureCompatibilityVersion/.test(log)) {
    return new ServersError(
      'DATA_FOLDER_UNUSABLE',
      `The data in ${folder} was written by another MongoDB version than ${program.version} (${program.path}) can open. ` +
        'Start with the version that wrote it, or move the folder away to begin anew.',
    );
  }
  if (code === exitCode.uncaught && /DBPathInUse/.test(log)) {
    return new ServersError(
      'DATA_FOLDER_IN_USE',
      `Another mongod uses ${folder}. End it first, or set TRAILKEEPER_DATA_DIR to another folder.`,
    );
  }
  return notReady(undefined, child);
}

const notReady = (cause: unknown, child: ServerChild): ServersError =>
  new ServersError(
    'SERVER_FAILED',
    `MongoDB did not become ready${cause instanceof Error ? ` (${cause.message})` : ''}. End of its log:\n${child.logTail()}`,
    { cause },
  );
