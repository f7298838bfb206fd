/**
 * The servers that Trailkeeper stands on, MongoDB and Temporal: taken from the environment where it names them, started
 * by us otherwise. Ours never outlive us (child.ts), and keep their data in the data folder.
 */
import { join, resolve } from 'node:path';
import { MongoClient, MongoServerError } from 'mongodb';
import { checkAuthority } from '../../store/provisioning/authority.ts';
import type { ServerChild } from './child.ts';
import { ServersError } from './errors.ts';
import { startMongod } from './mongod.ts';
import type { PortChoice } from './ports.ts';
import type { Say } from './registries.ts';
import { resolveProgram } from './resolve.ts';
import { startTemporal } from './temporal.ts';
import { checkTemporal } from './temporalAddress.ts';

export { ServersError } from './errors.ts';
export type { PortChoice } from './ports.ts';

export interface ServersOptions {
  /** MONGODB_URI, TEMPORAL_ADDRESS, PATH and TRAILKEEPER_CACHE are read from here. */
  readonly env: NodeJS.ProcessEnv;
  /** Data of the embedded servers: `mongodb/` and `temporal/` below it. */
  readonly dataFolder: string;
  readonly ports: { readonly mongodb: PortChoice; readonly temporal: PortChoice };
  readonly namespace: string;
  /** Told one line for every step, and one every few seconds while a step takes long. */
  readonly say: Say;
  /** For tests: allows fault injection by `failCommand`. */
  readonly testCommands?: boolean;
}

export interface Servers {
  readonly mongodb: {
    /** Of a user who may create users and roles. Holds a password: never log it. */
    readonly adminUri: string;
    readonly embedded: boolean;
  };
  readonly temporal: { readonly address: string; readonly namespace: string; readonly embedded: boolean };
  /** Resolves if an embedded server ends without having been stopped; never otherwise. */
  readonly failed: Promise<ServersError>;
  /** Ends the embedded servers cleanly; with `discard`, at once and without care for their data. Safe to call twice. */
  readonly stop: (how?: 'clean' | 'discard') => Promise<void>;
}

interface Started<T> {
  readonly found: T;
  readonly title: string;
  readonly child?: ServerChild;
}

/** Throws a `ServersError`; what had been started by then is stopped first. */
export async function startServers(options: ServersOptions): Promise<Servers> {
  const [mongodb, temporal] = await Promise.allSettled([haveMongodb(options), haveTemporal(options)]);
  const started = [mongodb, temporal].flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (mongodb.status === 'rejected' || temporal.status === 'rejected') {
    await Promise.all(started.map(async ({ child }) => child?.stop()));
    throw firstOf([mongodb, temporal].flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])));
  }
  let stopping = false;
  const failed = new Promise<ServersError>((tell) => {
    for (const { child, title } of started) {
      void child?.ended.then(() => {
        if (!stopping) tell(new ServersError('SERVER_FAILED', `${title} ended by itself. ${child.logTail()}`));
      });
    }
  });
  return {
    mongodb: mongodb.value.found,
    temporal: temporal.value.found,
    failed,
    stop: async (how = 'clean') => {
      stopping = true;
      await Promise.all(started.map(async ({ child }) => (how === 'clean' ? child?.stop() : child?.kill())));
    },
  };
}

async function haveMongodb(options: ServersOptions): Promise<Started<Servers['mongodb']>> {
  const title = 'MongoDB';
  const { env, say } = options;
  const uri = env['MONGODB_URI'];
  if (uri) {
    await checkMongodb(uri);
    say('MongoDB: taking the address in MONGODB_URI');
    return { title, found: { adminUri: uri, embedded: false } };
  }
  const program = await resolveProgram('mongod', { env, say });
  const folder = resolve(join(options.dataFolder, 'mongodb'));
  const running = await startMongod({
    program,
    folder,
    port: options.ports.mongodb,
    say,
    ...(options.testCommands === undefined ? {} : { testCommands: options.testCommands }),
  });
  say(`MongoDB: ready on 127.0.0.1:${running.port}`);
  return { title, found: { adminUri: running.adminUri, embedded: true }, child: running.child };
}

async function haveTemporal(options: ServersOptions): Promise<Started<Servers['temporal']>> {
  const title = 'Temporal';
  const { env, say, namespace } = options;
  const address = env['TEMPORAL_ADDRESS'];
  if (address) {
    await checkTemporal(address, namespace);
    say(`Temporal: taking ${address} from TEMPORAL_ADDRESS`);
    return { title, found: { address, namespace, embedded: false } };
  }
  const program = await resolveProgram('temporal', { env, say });
  const folder = resolve(join(options.dataFolder, 'temporal'));
  const running = await startTemporal({ program, folder, port: options.ports.temporal, namespace, say });
  say(`Temporal: ready on ${running.address}`);
  return { title, found: { address: running.address, namespace, embedded: true }, child: running.child };
}

const authenticationFailed = 18;

/** For an address that was given to us. Throws `MONGODB_UNREACHABLE` or `MONGODB_UNFIT`; never shows the address. */
async function checkMongodb(uri: string): Promise<void> {
  let client: MongoClient | undefined;
  try {
    const patience = /[?&]serverSelectionTimeoutMS=/i.test(uri) ? {} : { serverSelectionTimeoutMS: 10_000 };
    client = new MongoClient(uri, patience);
    await client.connect();
    const authority = await checkAuthority(client);
    if (authority.state === 'lacking') {
      throw new ServersError('MONGODB_UNFIT', `The MongoDB of MONGODB_URI can't be used: ${authority.reason}.`);
    }
  } catch (error) {
    if (error instanceof ServersError) throw error;
    if (error instanceof MongoServerError && error.code === authenticationFailed) {
      throw new ServersError('MONGODB_UNFIT', 'The MongoDB of MONGODB_URI refuses the user and password given there.');
    }
    // The driver's message may repeat the address, and with it a password: only its name is passed on.
    throw new ServersError(
      'MONGODB_UNREACHABLE',
      `MongoDB does not answer at MONGODB_URI (${(error as Error).name}). Correct the address or its user and password, or unset it to use the embedded server.`,
    );
  } finally {
    await client?.close();
  }
}

/** Two servers missing are one message, so that the user installs both before trying again. */
function firstOf(errors: readonly unknown[]): unknown {
  const missing = errors.filter((error) => error instanceof ServersError && error.code === 'NO_SERVER');
  if (missing.length < 2) return errors[0];
  return new ServersError('NO_SERVER', missing.map((error) => (error as ServersError).message).join('\n\n'));
}
