/** A log on three nodes while its primary goes: what was acknowledged stays, and there is one history. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstanceId } from '../../schema/ids.ts';
import { dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import { testPasswords } from '../setup/database.ts';
import { event } from '../trail/events.ts';
import { appendSettled, startCallers } from './callers.ts';
import { expectInvariants } from './invariants.ts';
import { startReplicaSet, type TestReplicaSet } from './replicaSet.ts';

let set: TestReplicaSet;
let folder: string;
let admin: MongoClient;
const processes: Process[] = [];

/** What belongs to one process, as far as a log can tell: connections and keys of its own. */
interface Process {
  readonly trail: Trail;
  readonly appender: MongoClient;
  /** Its connections are cut, so nothing that it was about to say or repeat is ever said. */
  die(): Promise<void>;
}

const openProcess = async (instance: InstanceId): Promise<Process> => {
  const connect = (duty: Duty) =>
    MongoClient.connect(dutyUri(set.adminUri, duty, testPasswords[duty]), {
      serverSelectionTimeoutMS: 3000,
      monitorCommands: true,
    });
  const clients = {
    appender: await connect('appender'),
    anchor: await connect('anchor'),
    reader: await connect('reader'),
  };
  const keys = await openFileKeyProvider(folder);
  const trail = await openTrail(instance, `localhost/log/${instance}`, { clients, keys });
  const die = async () => {
    await Promise.all(Object.values(clients).map((client) => client.close(true)));
  };
  const opened = { trail, appender: clients.appender, die };
  processes.push(opened);
  return opened;
};

const openProcesses = async (name: string, count: number): Promise<Process[]> => {
  const instance = name as InstanceId;
  await provisionDatabase(admin, { instances: [instance], passwords: testPasswords });
  const opened: Process[] = [];
  while (opened.length < count) opened.push(await openProcess(instance));
  return opened;
};

/** Where the last segment begins that the primary has, whether a majority has it or not. */
const endAtPrimary = async (instance: string): Promise<number> => {
  const record = admin.db(`tk_${instance}`).collection<{ _id: number }>('record', { readConcern: { level: 'local' } });
  const last = await record
    .find({ _id: { $gte: 0 } })
    .sort({ _id: -1 })
    .limit(1)
    .next();
  return last?._id ?? -1;
};

const logOf = ({ trail: { instance, origin, vkey } }: Process) => ({ instance, origin, vkey, admin });

beforeAll(async () => {
  set = await startReplicaSet();
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-keys-'));
  admin = await MongoClient.connect(set.adminUri, { readConcernLevel: 'majority' });
});
afterAll(async () => {
  await Promise.all(processes.map((process) => process.die()));
  await admin.close();
  await set.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('a log on three nodes', () => {
  it('goes on as one history when its primary steps down under load, twice', async () => {
    const opened = await openProcesses('stepdown', 3);
    const callers = startCallers(
      'stepdown',
      opened.map(({ trail }) => trail.writer),
      20,
    );
    await callers.more(200);
    for (let time = 0; time < 2; time += 1) {
      const before = await set.primary();
      // The answer may be cut off with the connections that a step-down closes.
      await set.command(before, { replSetStepDown: 20, secondaryCatchUpPeriodSecs: 10 }).catch(() => undefined);
      await callers.more(200);
      expect((await set.primary()).name).not.toBe(before.name);
    }
    await callers.settle();
    const { end } = await expectInvariants(logOf(opened[0]!), callers.receipts);
    expect(end.size).toBeGreaterThanOrEqual(callers.receipts.length);
  });

  it('is extended only from what a majority has: a segment that the primary alone took never counts', async () => {
    const [dying, late] = await openProcesses('forked', 2);
    const [first] = await appendSettled(() => dying!.trail.writer, [event()]);
    const old = await set.primary();
    const others = set.members.filter(({ name }) => name !== old.name);
    for (const member of others) await set.lag(member, true);
    // One process writes a segment, which stays on the primary's disk, and is never heard of again.
    const unanswered = dying!.trail.writer.append([event(), event(), event()], 'platform').catch(() => undefined);
    await expect.poll(() => endAtPrimary('forked'), { timeout: 60_000 }).toBe(1);
    // Another looks for the end of the log just then, and extends it where it believes that to be.
    const extending = Promise.withResolvers<void>();
    late!.appender.on('commandStarted', ({ commandName, command }) => {
      if (commandName === 'insert' && (command as { insert?: string }).insert === 'record') extending.resolve();
    });
    const receipts = appendSettled(() => late!.trail.writer, [event(), event()]);
    await extending.promise;
    await dying!.die();
    await set.kill(old);
    for (const member of others) await set.lag(member, false);
    const acknowledged = await receipts;
    expect(acknowledged.map(({ index }) => index)).toEqual([1, 2]);
    await set.start(old);
    await expectInvariants(logOf(late!), [first!, ...acknowledged]);
    await unanswered;
  });

  it('has one history when its primary is killed while the secondaries lag, and comes back with what nobody has', async () => {
    const opened = await openProcesses('lagging', 3);
    const callers = startCallers(
      'lagging',
      opened.map(({ trail }) => trail.writer),
      20,
    );
    await callers.more(200);
    const old = await set.primary();
    const others = set.members.filter(({ name }) => name !== old.name);
    for (const member of others) await set.lag(member, true);
    // From here on, nothing can come to a majority: what the primary has taken since is on its disk alone.
    const acknowledged = callers.receipts.length;
    const committed = Math.max(...callers.receipts.map(({ index }) => index));
    await expect.poll(() => endAtPrimary('lagging'), { timeout: 60_000 }).toBeGreaterThan(committed);
    await set.kill(old);
    for (const member of others) await set.lag(member, false);
    await callers.more(200);
    expect(callers.receipts.length).toBeGreaterThan(acknowledged);
    // It finds that the others went on without it, and takes back what only it had.
    await set.start(old);
    await callers.more(200);
    await callers.settle();
    const { end } = await expectInvariants(logOf(opened[0]!), callers.receipts);
    expect(end.size).toBeGreaterThanOrEqual(callers.receipts.length);
  });
});
