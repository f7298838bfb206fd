/** What torture does to a log. Each fault is drawn from a seed, and undone before the round ends. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Document } from 'mongodb';
import type { Random } from '../../diagnosis/random.ts';
import type { LogClient } from '../logClients.ts';
import type { TestReplicaSet } from '../replicaSet.ts';

export interface Target {
  readonly set: TestReplicaSet;
  readonly clients: readonly LogClient[];
  /** Database of the instance. */
  readonly database: string;
}

export interface Fault {
  /** As it is printed. */
  readonly name: string;
  /** Resolves when it is over. */
  inflict(target: Target): Promise<void>;
}

const holdMs = (random: Random): number => 200 + random.below(3000);

const stepDown: (random: Random) => Fault = () => ({
  name: 'the primary steps down',
  async inflict({ set }) {
    // The answer may be cut off with the connections that a step-down closes.
    await set
      .command(await set.primary(), { replSetStepDown: 10, secondaryCatchUpPeriodSecs: 10 })
      .catch(() => undefined);
    await set.primary();
  },
});

const killPrimary = (random: Random): Fault => {
  const downMs = holdMs(random);
  return {
    name: `the primary is killed for ${downMs} ms`,
    async inflict({ set }) {
      const primary = await set.primary();
      await set.kill(primary);
      await delay(downMs);
      await set.start(primary);
    },
  };
};

const killLaggedPrimary = (random: Random): Fault => {
  const lagMs = holdMs(random);
  return {
    name: `the primary is killed after its secondaries lagged for ${lagMs} ms`,
    async inflict({ set }) {
      const primary = await set.primary();
      const others = set.members.filter(({ name }) => name !== primary.name);
      for (const member of others) await set.lag(member, true);
      await delay(lagMs);
      await set.kill(primary);
      for (const member of others) await set.lag(member, false);
      await set.primary();
      await set.start(primary);
    },
  };
};

const killSecondary = (random: Random): Fault => {
  const downMs = holdMs(random);
  const which = random.below(2);
  return {
    name: `a secondary is killed for ${downMs} ms`,
    async inflict({ set }) {
      const primary = await set.primary();
      const member = set.members.filter(({ name }) => name !== primary.name)[which]!;
      await set.kill(member);
      await delay(downMs);
      await set.start(member);
    },
  };
};

const freeze = (random: Random): Fault => {
  const frozenMs = holdMs(random);
  const which = random.below(1_000_000);
  return {
    name: `a process is frozen for ${frozenMs} ms`,
    async inflict({ clients }) {
      const client = clients[which % clients.length]!;
      client.freeze();
      await delay(frozenMs);
      client.thaw();
    },
  };
};

const answers: readonly Document[] = [
  { closeConnection: true },
  { errorCode: 11_602 },
  { errorCode: 112 },
  { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
  { writeConcernError: { code: 91, errmsg: 'shutdown in progress' } },
];

const failCommands = (random: Random): Fault => {
  const answer = random.pick(answers);
  const times = 1 + random.below(8);
  const collection = random.pick(['record', 'anchors', 'keys']);
  const commands = 'writeConcernError' in answer ? ['insert'] : random.pick([['insert'], ['find'], ['insert', 'find']]);
  return {
    name: `${commands.join(' and ')} on ${collection} answered ${times} times with ${JSON.stringify(answer)}`,
    async inflict({ set, database }) {
      const namespace = `${collection === 'record' ? database : 'tk_control'}.${collection}`;
      const data = { failCommands: commands, namespace, ...answer };
      await set.command(await set.primary(), { configureFailPoint: 'failCommand', mode: { times }, data });
    },
  };
};

const kinds = [stepDown, killPrimary, killLaggedPrimary, killSecondary, freeze, freeze, failCommands, failCommands];

export const drawFault = (random: Random): Fault => random.pick(kinds)(random);
