import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client, Connection } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { endOrphan, type ServerChild } from '../../stack/servers/child.ts';
import type { ServersError } from '../../stack/servers/errors.ts';
import { startMongod } from '../../stack/servers/mongod.ts';
import { identityOf } from '../../stack/servers/processIdentity.ts';
import { resolveProgram } from '../../stack/servers/resolve.ts';
import { startServers, type PortChoice } from '../../stack/servers/servers.ts';
import { startTemporal } from '../../stack/servers/temporal.ts';
import { provisionTestInstances } from '../setup/database.ts';
import { testNamespace } from '../setup/servers.ts';

let folder: string;
const children: ServerChild[] = [];
const free = { kind: 'free' } as const;
const say = () => undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-servers-'));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await rm(folder, { recursive: true, force: true });
});

async function mongod(port: PortChoice = free) {
  const program = await resolveProgram('mongod', { env: process.env, say });
  const running = await startMongod({ program, folder, port, say, cacheSizeGb: 0.25 });
  children.push(running.child);
  return running;
}

async function withClient<T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = await MongoClient.connect(uri);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

const write = (uri: string, text: string) =>
  withClient(uri, (client) =>
    client
      .db('kept')
      .collection('notes')
      .insertOne({ text }, { writeConcern: { w: 'majority', j: true } }),
  );
const readAll = (uri: string) =>
  withClient(uri, (client) =>
    client
      .db('kept')
      .collection('notes')
      .find({}, { readConcern: { level: 'majority' } })
      .map(({ text }) => text as string)
      .toArray(),
  );

async function rejection(work: Promise<unknown>): Promise<ServersError> {
  return work.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error as ServersError,
  );
}

describe('the embedded MongoDB', () => {
  it('finds its data and its password again, and keeps its secrets from others', async () => {
    const first = await mongod();
    await write(first.adminUri, 'before');
    await first.child.stop();
    const second = await mongod();
    expect(await readAll(second.adminUri)).toEqual(['before']);
    for (const secret of ['keyfile', 'root-password']) {
      expect((await stat(join(folder, secret))).mode & 0o777).toBe(0o600);
    }
  });

  it('recovers after kill -9 with everything that was acknowledged', async () => {
    const first = await mongod();
    await write(first.adminUri, 'acknowledged');
    await first.child.kill();
    expect((await stat(join(folder, 'db', 'mongod.lock'))).size).toBeGreaterThan(0);
    expect(await readAll((await mongod()).adminUri)).toEqual(['acknowledged']);
  });

  it('follows its port setting, and leads its replica set there', async () => {
    const first = await mongod();
    await write(first.adminUri, 'elsewhere');
    await first.child.stop();
    const second = await mongod();
    expect(second.port).not.toBe(first.port);
    expect(await readAll(second.adminUri)).toEqual(['elsewhere']);
  });

  it('makes good a start that was cut off before the first user was made', async () => {
    const first = await mongod();
    await withClient(first.adminUri, (client) => client.db('admin').command({ dropAllUsersFromDatabase: 1 }));
    await first.child.stop();
    const second = await mongod();
    await write(second.adminUri, 'after');
    expect(await readAll(second.adminUri)).toEqual(['after']);
  });

  it('lets nobody in without a password', async () => {
    const { port } = await mongod();
    const error = await rejection(write(`mongodb://127.0.0.1:${port}/?directConnection=true`, 'stranger'));
    expect(error).toMatchObject({ code: 13 });
  });

  it('names the setting of a port that is taken', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as { port: number };
    const error = await rejection(mongod({ kind: 'fixed', port, setting: 'TRAILKEEPER_MONGODB_PORT' }));
    squatter.close();
    expect(error.code).toBe('PORT_TAKEN');
    expect(error.message).toContain(String(port));
    expect(error.message).toContain('Set TRAILKEEPER_MONGODB_PORT');
  });

  it('is not started twice on one folder', async () => {
    await mongod();
    const error = await rejection(mongod());
    expect(error.code).toBe('DATA_FOLDER_IN_USE');
    expect(error.message).toContain('TRAILKEEPER_DATA_DIR');
  });

  it('says so when the password does not belong to the data', async () => {
    const first = await mongod();
    await first.child.stop();
    await writeFile(join(folder, 'root-password'), 'another');
    const error = await rejection(mongod());
    expect(error.code).toBe('DATA_FOLDER_UNUSABLE');
    expect(error.message).not.toContain('another');
  });
});

async function withTemporal<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(new Client({ connection, namespace: testNamespace }));
  } finally {
    await connection.close();
  }
}

describe('the embedded Temporal', () => {
  it('finds its workflows again', async () => {
    const program = await resolveProgram('temporal', { env: process.env, say });
    const start = async () => {
      const running = await startTemporal({ program, folder, port: free, namespace: testNamespace, say });
      children.push(running.child);
      return running;
    };
    const first = await start();
    await withTemporal(first.address, (client) =>
      client.workflow.start('nobodyRunsThis', { taskQueue: 'none', workflowId: 'kept', args: [] }),
    );
    await first.child.stop();
    const second = await start();
    const kept = await withTemporal(second.address, (client) => client.workflow.getHandle('kept').describe());
    expect(kept.status.name).toBe('RUNNING');
  });
});

/** A process that starts both servers, tells their pids, and does as its arguments say when it is asked to end. */
async function startOwner(dataFolder: string): Promise<{ owner: ChildProcess; pids: number[] }> {
  const script = join(import.meta.dirname, 'stackOwner.ts');
  const owner = spawn(process.execPath, [script, dataFolder], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: owner.stdout })) {
    if (line.startsWith('pids ')) return { owner, pids: line.slice(5).split(' ').map(Number) };
  }
  throw new Error('the owner ended before its servers were ready');
}

describe('the servers of a process', () => {
  it.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
    'end with it on %s, and start again on the same data',
    async (signal) => {
      const { owner, pids } = await startOwner(folder);
      expect(pids.map((pid) => identityOf(pid)?.pid)).toEqual(pids);
      owner.kill(signal);
      await once(owner, 'exit');
      await expect.poll(() => pids.filter((pid) => identityOf(pid) !== undefined), { timeout: 60_000 }).toEqual([]);
      const again = await startServers({
        env: { ...process.env, MONGODB_URI: '', TEMPORAL_ADDRESS: '' },
        dataFolder: folder,
        ports: { mongodb: free, temporal: free },
        namespace: testNamespace,
        say,
      });
      await again.stop('discard');
    },
  );

  it('report an end that nobody asked for', async () => {
    const servers = await startServers({
      env: { ...process.env, MONGODB_URI: inject('mongodbAdminUri'), TEMPORAL_ADDRESS: '' },
      dataFolder: folder,
      ports: { mongodb: free, temporal: free },
      namespace: testNamespace,
      say,
    });
    expect(servers.mongodb.embedded).toBe(false);
    const pidFile = JSON.parse(await readFile(join(folder, 'temporal', 'temporal.pid'), 'utf8')) as {
      server: { pid: number };
    };
    process.kill(pidFile.server.pid, 'SIGKILL');
    expect(await servers.failed).toMatchObject({ code: 'SERVER_FAILED' });
    await servers.stop();
  });
});

const leave = (owner: object, server: object) =>
  writeFile(join(folder, 'mongod.pid'), JSON.stringify({ owner, server }));

describe('a server that a crashed owner left behind', () => {
  let orphan: ChildProcess;
  const notRunning = { pid: 2 ** 22 + 1, started: '1', commandLine: 'gone' };
  beforeEach(async () => {
    orphan = spawn('sleep', ['600'], { stdio: 'ignore' });
    await once(orphan, 'spawn');
  });
  afterEach(() => void orphan.kill('SIGKILL'));

  it('is ended by the next start', async () => {
    const ended = once(orphan, 'exit');
    await leave(notRunning, identityOf(orphan.pid ?? 0) ?? {});
    expect(await endOrphan(folder, 'mongod')).toBe('ended');
    await ended;
  });

  it('is left alone when its pid belongs to another process by now', async () => {
    await leave(notRunning, { ...identityOf(orphan.pid ?? 0), started: 'long ago' });
    expect(await endOrphan(folder, 'mongod')).toBe('none');
    expect(identityOf(orphan.pid ?? 0)).toBeDefined();
  });

  it('is left alone while its owner lives', async () => {
    await leave(identityOf(process.pid) ?? {}, identityOf(orphan.pid ?? 0) ?? {});
    expect((await rejection(endOrphan(folder, 'mongod'))).code).toBe('DATA_FOLDER_IN_USE');
    expect(identityOf(orphan.pid ?? 0)).toBeDefined();
  });
});

const take = (env: NodeJS.ProcessEnv, namespace = testNamespace) =>
  startServers({
    env: { MONGODB_URI: inject('mongodbAdminUri'), TEMPORAL_ADDRESS: inject('temporalAddress'), PATH: '', ...env },
    dataFolder: folder,
    ports: { mongodb: free, temporal: free },
    namespace,
    say,
  });

describe('servers that the environment names', () => {
  it('are taken as they are, and not stopped', async () => {
    const servers = await take({});
    expect(servers).toMatchObject({ mongodb: { embedded: false }, temporal: { embedded: false } });
    await servers.stop();
    await (await take({})).stop();
  });

  it('are refused with a reason where MongoDB gives us a user who may not create users', async () => {
    const test = await provisionTestInstances(['acme']);
    const error = await rejection(take({ MONGODB_URI: test.uriOf('applier') }));
    await test.close();
    expect(error.code).toBe('MONGODB_UNFIT');
    expect(error.message).toContain('may not createUser');
  });

  it.each([
    ['MONGODB_UNFIT', '$1wrong@'],
    ['MONGODB_UNREACHABLE', '$1secret@127.0.0.1:9/?serverSelectionTimeoutMS=500&x='],
  ])('end in %s without the password in the message', async (code, replacement) => {
    const uri = inject('mongodbAdminUri').replace(/(\/\/[^:]*:)[^@]*@/, replacement);
    const error = await rejection(take({ MONGODB_URI: uri }));
    expect(error.code).toBe(code);
    expect(error.message).not.toMatch(/wrong|secret/);
    expect(error.message).toContain('MONGODB_URI');
  });

  it('end in TEMPORAL_UNREACHABLE or TEMPORAL_UNFIT, naming the setting', async () => {
    const closed = await rejection(take({ TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(closed.code).toBe('TEMPORAL_UNREACHABLE');
    expect(closed.message).toContain('TEMPORAL_ADDRESS');
    const unknown = await rejection(take({}, 'nowhere'));
    expect(unknown.code).toBe('TEMPORAL_UNFIT');
    expect(unknown.message).toContain('TEMPORAL_NAMESPACE');
  });
});
