import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dutyUris, loadConfig } from '../../stack/config.ts';
import { adminUri, provision } from '../../stack/provision.ts';
import { startChild, type ServerChild } from '../../stack/servers/child.ts';
import { claimPort } from '../../stack/servers/ports.ts';
import { resolveProgram } from '../../stack/servers/resolve.ts';
import { secretFile } from '../../stack/servers/secretFile.ts';
import { passwordSetting } from '../../stack/settings.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { duties } from '../../store/provisioning/duties.ts';
import { provisionInstanceDatabase } from '../../store/provisioning/provision.ts';

/** As docker-compose.yml starts them: three members that share a key, with authentication, not yet a set. */
let folder: string;
let members: { port: number; child: ServerChild }[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-set-'));
  const { path } = await resolveProgram('mongod', { env: process.env, say: () => undefined });
  const keyFile = join(folder, 'keyfile');
  secretFile(keyFile, 'base64', 96);
  members = [];
  for (const name of ['one', 'two', 'three']) {
    const data = join(folder, name);
    await mkdir(data);
    const port = await claimPort({ kind: 'free' }, 'MongoDB');
    const where = ['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket'];
    const size = ['--oplogSize', '64', '--wiredTigerCacheSizeGB', '0.25'];
    const args = [...where, ...size, '--replSet', 'rs0', '--auth', '--keyFile', keyFile];
    members.push({ port, child: startChild({ name, program: path, args, folder, env: process.env }) });
  }
});
afterAll(async () => {
  await Promise.all(members.map(({ child }) => child.kill()));
  await rm(folder, { recursive: true, force: true });
});

describe('provisioning a new replica set of three', () => {
  it('initiates it, makes the administrator and the duties’ users, and can run again', async () => {
    const addresses = members.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const config = loadConfig({
      MONGODB_URI: `mongodb://${addresses}/?replicaSet=rs0`,
      TRAILKEEPER_DATA_DIR: folder,
      TRAILKEEPER_REPLICA_SET_MEMBERS: addresses,
      TRAILKEEPER_MONGODB_ADMIN_PASSWORD: 'p@ssword of root',
      ...Object.fromEntries(duties.map((duty) => [passwordSetting(duty), `password of ${duty}`])),
    });
    const said: string[] = [];
    const run = () => provision(config, (line) => void said.push(line), members[0]?.port);
    await run();
    await run();
    expect(said.filter((line) => line.startsWith('provisioned the control database'))).toHaveLength(2);
    const admin = await MongoClient.connect(adminUri(config));
    await provisionInstanceDatabase(admin, 'acme' as InstanceId);
    await admin.close();

    const uris = dutyUris(config, config.mongodb.uri ?? '', ['appender']);
    const client = await MongoClient.connect(uris.appender);
    try {
      const segments = client.db('tk_acme').collection<{ _id: number }>('record');
      await segments.insertOne({ _id: 0 }, { writeConcern: { w: 3, j: true } });
      await expect(segments.deleteOne({ _id: 0 })).rejects.toMatchObject({ code: 13 });
      const hello = await client.db('admin').command({ hello: 1 });
      expect(hello['hosts']).toHaveLength(3);
    } finally {
      await client.close();
    }
  });
});
