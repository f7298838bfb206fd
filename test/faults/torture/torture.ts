/**
 * Torture: random schedules of faults, from a seed, against a log on three nodes to which several processes append. After
 * each round the whole log must hold its invariants (invariants.ts), with everything that was ever acknowledged.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../../schema/ids.ts';
import { duties, dutyUri, type Duty } from '../../../store/provisioning/duties.ts';
import { provisionDatabase } from '../../../store/provisioning/provision.ts';
import type { Receipt } from '../../../trail/append-item.ts';
import { openFileKeyProvider } from '../../../trail/keys/file-provider.ts';
import { openTrail } from '../../../trail/trail.ts';
import { randomFrom } from '../../diagnosis/random.ts';
import { expectInvariants } from '../invariants.ts';
import { startLogClient, type LogClient } from '../logClients.ts';
import { startReplicaSet, type TestReplicaSet } from '../replicaSet.ts';
import { drawFault } from './faults.ts';

export interface TortureOptions {
  readonly seed: number;
  /** Told before each round whether there is another one. */
  readonly goesOn: (round: number) => boolean;
  readonly say: (line: string) => void;
}

export interface TortureResult {
  readonly rounds: number;
  readonly entries: number;
  readonly acknowledged: number;
}

const instance = 'torture' as InstanceId;
const origin = 'localhost/log/torture';
const processesMax = 3;

const passwords = Object.fromEntries(duties.map((duty) => [duty, `password-of-${duty}`])) as Record<Duty, string>;

/** Throws what was found wrong; the seed leads to the same schedule again. */
export const torture = async (options: TortureOptions): Promise<TortureResult> => {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-torture-'));
  const set = await startReplicaSet();
  const admin = new MongoClient(set.adminUri, { readConcernLevel: 'majority' });
  try {
    return await rounds(options, set, admin, folder);
  } finally {
    await admin.close();
    await set.stop();
    await rm(folder, { recursive: true, force: true });
  }
};

const rounds = async (
  { seed, goesOn, say }: TortureOptions,
  set: TestReplicaSet,
  admin: MongoClient,
  folder: string,
): Promise<TortureResult> => {
  const random = randomFrom(seed);
  await provisionDatabase(admin, { instances: [instance], passwords });
  const uris = {
    appender: dutyUri(set.adminUri, 'appender', passwords.appender),
    anchor: dutyUri(set.adminUri, 'anchor', passwords.anchor),
    reader: dutyUri(set.adminUri, 'reader', passwords.reader),
  };
  const keysFolder = join(folder, 'keys');
  const vkey = await vkeyOf(uris, keysFolder);
  const receipts: Receipt[] = [];
  let entries = 0;
  let round = 0;
  for (; goesOn(round); round += 1) {
    const clients = Array.from({ length: 1 + random.below(processesMax) }, (_, number) => {
      const batch = random.pick([1, 7, 50, 300]);
      const name = `torture-${round}-${number}`;
      return startLogClient({ name, instance, origin, keysFolder, uris, batch }, folder);
    });
    try {
      for (const client of clients) await client.more(1);
      const faults = Array.from({ length: 1 + random.below(3) }, () => drawFault(random));
      say(`round ${round + 1}: ${clients.length} processes; ${faults.map(({ name }) => name).join('; then ')}`);
      for (const fault of faults) await fault.inflict({ set, clients, database: `tk_${instance}` });
      await end(clients, set, random.chance(0.3) ? 'kill' : 'stop');
    } finally {
      await Promise.all(clients.map((client) => client.kill()));
    }
    receipts.push(...clients.flatMap((client) => client.receipts()));
    ({ length: entries } = (await expectInvariants({ instance, origin, vkey, admin }, receipts)).entries);
    say(`round ${round + 1}: ${entries} entries, ${receipts.length} acknowledged, all invariants hold`);
  }
  return { rounds: round, entries, acknowledged: receipts.length };
};

/** One of them may die in the middle of what it does; the others settle what is under way, which shows that the log goes on. */
const end = async (clients: readonly LogClient[], set: TestReplicaSet, first: 'kill' | 'stop'): Promise<void> => {
  await set.primary();
  const [one, ...others] = clients;
  if (first === 'kill') await one!.kill();
  for (const client of first === 'kill' ? others : clients) {
    await client.more(1);
    await client.stop();
  }
};

const vkeyOf = async (
  uris: Readonly<Record<'appender' | 'anchor' | 'reader', string>>,
  keysFolder: string,
): Promise<string> => {
  const clients = {
    appender: new MongoClient(uris.appender),
    anchor: new MongoClient(uris.anchor),
    reader: new MongoClient(uris.reader),
  };
  try {
    return (await openTrail(instance, origin, { clients, keys: await openFileKeyProvider(keysFolder) })).vkey;
  } finally {
    await Promise.all(Object.values(clients).map((client) => client.close()));
  }
};
