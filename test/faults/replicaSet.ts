/** A replica set of three for tests: members that can be killed, started again, made to lag and to step down. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient, type Document } from 'mongodb';
import { startChild, type ServerChild } from '../../stack/servers/child.ts';
import { claimPort } from '../../stack/servers/ports.ts';
import { prepareReplicaSet } from '../../stack/servers/replicaSet.ts';
import { resolveProgram } from '../../stack/servers/resolve.ts';
import { secretFile } from '../../stack/servers/secretFile.ts';
import { until } from './until.ts';

export interface Member {
  readonly name: string;
  readonly port: number;
}

export interface TestReplicaSet {
  /** Of the administrator; names all members. */
  readonly adminUri: string;
  readonly members: readonly Member[];
  /** The member that the others, too, take for the primary. */
  primary(): Promise<Member>;
  /** As `kill -9` does. */
  kill(member: Member): Promise<void>;
  /** Starts a killed member on its data, and waits until it answers. */
  start(member: Member): Promise<void>;
  /** Runs a command of the administrator on one member. */
  command(member: Member, command: Document): Promise<Document>;
  /** Makes it refuse, or take again, what the primary sends. */
  lag(member: Member, on: boolean): Promise<void>;
  stop(): Promise<void>;
}

const user = 'root-of-faults';
const password = 'password-of-root';
const names = ['one', 'two', 'three'];

export const startReplicaSet = async (): Promise<TestReplicaSet> => {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-faults-'));
  const { path: program } = await resolveProgram('mongod', { env: process.env, say: () => undefined });
  const keyFile = join(folder, 'keyfile');
  secretFile(keyFile, 'base64', 96);
  const children = new Map<string, ServerChild>();
  const members: Member[] = [];
  const launch = ({ name, port }: Member) => {
    const where = ['--dbpath', join(folder, name), '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket'];
    const size = ['--oplogSize', '64', '--wiredTigerCacheSizeGB', '0.25'];
    const set = ['--replSet', 'rs0', '--auth', '--keyFile', keyFile, '--setParameter', 'enableTestCommands=1'];
    children.set(name, startChild({ name, program, args: [...where, ...size, ...set], folder, env: process.env }));
  };
  for (const name of names) {
    await mkdir(join(folder, name));
    const member = { name, port: await claimPort({ kind: 'free' }, 'MongoDB') };
    members.push(member);
    launch(member);
  }
  const addresses = members.map(({ port }) => `127.0.0.1:${port}`);
  await prepareReplicaSet({ port: members[0]!.port, members: addresses, user, password, timeoutMs: 120_000 });
  const login = `${user}:${encodeURIComponent(password)}`;
  const adminUri = `mongodb://${login}@${addresses.join(',')}/?replicaSet=rs0&authSource=admin`;

  const withMember = async <T>({ port }: Member, work: (client: MongoClient) => Promise<T>): Promise<T> => {
    const client = new MongoClient(`mongodb://${login}@127.0.0.1:${port}/?directConnection=true&authSource=admin`, {
      serverSelectionTimeoutMS: 2000,
    });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  };
  const command = (member: Member, given: Document) =>
    withMember(member, (client) => client.db('admin').command(given));

  // An election within seconds instead of tens of them, and no member that takes the others' place back.
  await until(async () => {
    const { config } = (await command(members[0]!, { replSetGetConfig: 1 })) as { config: Document };
    const same = (config['members'] as Document[]).map((member) => ({ ...member, priority: 1 }));
    const settings = { ...config['settings'], electionTimeoutMillis: 2000, heartbeatIntervalMillis: 500 };
    await command(members[0]!, {
      replSetReconfig: { ...config, version: Number(config['version']) + 1, members: same, settings },
    });
  });

  return {
    adminUri,
    members,
    command,
    primary: () =>
      until(async () => {
        const answers = await Promise.all(
          members.map(async (member) => {
            const hello = await command(member, { hello: 1 }).catch(() => undefined);
            return hello?.['isWritablePrimary'] === true ? member : undefined;
          }),
        );
        const [primary, ...more] = answers.filter((member) => member !== undefined);
        if (!primary || more.length > 0) throw new Error('no primary yet');
        return primary;
      }),
    async kill({ name }) {
      await children.get(name)?.kill();
    },
    async start(member) {
      launch(member);
      await until(() => command(member, { ping: 1 }));
    },
    async lag(member, on) {
      await command(member, { configureFailPoint: 'stopReplProducer', mode: on ? 'alwaysOn' : 'off' });
    },
    async stop() {
      await Promise.all([...children.values()].map((child) => child.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
};
