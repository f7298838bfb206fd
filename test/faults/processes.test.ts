/** Several processes on one log: at once, killed, and frozen while others go on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestTrail, type TestTrail } from '../trail/open.ts';
import { expectInvariants } from './invariants.ts';
import { startLogClient, type LogClient } from './logClients.ts';

let test: TestTrail;
let folder: string;
const clients: LogClient[] = [];

const start = (name: string, batch: number): LogClient => {
  const { instance, origin, keysFolder, database } = test;
  const uris = {
    appender: database.uriOf('appender'),
    anchor: database.uriOf('anchor'),
    reader: database.uriOf('reader'),
  };
  const client = startLogClient({ name, instance, origin, keysFolder, uris, batch }, folder);
  clients.push(client);
  return client;
};

const receipts = () => clients.flatMap((client) => client.receipts());
const log = () => ({
  instance: test.instance,
  origin: test.origin,
  vkey: test.trail.vkey,
  admin: test.database.admin,
});

beforeAll(async () => {
  test = await openTestTrail();
  test.tails({ quiet: true });
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-receipts-'));
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.kill()));
  await test.close();
  await rm(folder, { recursive: true, force: true });
});

describe('three processes on one log', () => {
  it('make one history', async () => {
    const three = [start('one', 50), start('two', 20), start('three', 1)];
    await Promise.all(three.map((client) => client.more(40)));
    await Promise.all(three.map((client) => client.stop()));
    expect((await expectInvariants(log(), receipts())).end.size).toBeGreaterThan(0);
  });

  it('and one of them killed at any moment, again and again, leaves nothing partial, and nothing acknowledged behind', async () => {
    const steady = start('steady', 10);
    for (const name of ['victim-a', 'victim-b', 'victim-c']) {
      const victim = start(name, 25);
      await victim.more(50);
      await victim.kill();
    }
    await steady.more(20);
    await steady.stop();
    expect((await expectInvariants(log(), receipts())).end.size).toBeGreaterThan(0);
  });

  it('and one of them frozen while another takes the log further, then going on, make one history', async () => {
    const frozen = start('frozen', 30);
    await frozen.more(60);
    frozen.freeze();
    const other = start('other', 30);
    await other.more(300);
    frozen.thaw();
    await Promise.all([frozen.more(60), other.more(60)]);
    await Promise.all([frozen.stop(), other.stop()]);
    expect((await expectInvariants(log(), receipts())).end.size).toBeGreaterThan(0);
  });
});
