/** Instances of their own for one test file, with a MongoDB connection for each duty. */
import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { inject } from 'vitest';
import { instanceIdPattern, type InstanceId } from '../../schema/ids.ts';
import { controlDatabase, instanceDatabase } from '../../store/provisioning/collections.ts';
import { duties, dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { keyringsOf } from '../../trail/keys/keyring.ts';

/** All test files share the duties' users, as all instances do in production. */
export const testPasswords = Object.fromEntries(duties.map((duty) => [duty, `password-of-${duty}`])) as Record<
  Duty,
  string
>;

export interface TestInstances<N extends string> {
  /** The unique id behind each name: `acme` is, for example, `acme-1f00c3d2`. */
  readonly ids: Readonly<Record<N, InstanceId>>;
  /** Connected; closed by `close`. */
  readonly clients: Readonly<Record<Duty, MongoClient>>;
  readonly admin: MongoClient;
  /** For a process of its own that a test starts. Holds a password. */
  readonly uriOf: (duty: Duty) => string;
  /** Closes the connections and drops the instances. */
  readonly close: () => Promise<void>;
}

/** Call in `beforeAll`, and `close` in `afterAll`. Control data lives in the database that all test files share. */
export async function provisionTestInstances<const N extends string>(names: readonly N[]): Promise<TestInstances<N>> {
  const adminUri = inject('mongodbAdminUri');
  const admin = await MongoClient.connect(adminUri);
  const ids = Object.fromEntries(names.map((name) => [name, uniqueInstance(name)])) as Record<N, InstanceId>;
  const instances = Object.values<InstanceId>(ids);
  await provisionDatabase(admin, { instances, passwords: testPasswords });
  const uriOf = (duty: Duty) => dutyUri(adminUri, duty, testPasswords[duty]);
  const connected = await Promise.all(
    duties.map(async (duty) => [duty, await MongoClient.connect(uriOf(duty))] as const),
  );
  const clients = Object.fromEntries(connected) as Record<Duty, MongoClient>;
  return {
    ids,
    clients,
    admin,
    uriOf,
    close: async () => {
      await Promise.all(Object.values(clients).map((client) => client.close()));
      // A process that a later test starts looks at all of them.
      const keyrings = admin.db(controlDatabase).collection<{ _id: string }>('keyrings');
      await keyrings.deleteMany({ _id: { $in: instances } });
      for (const instance of instances) {
        const db = admin.db(instanceDatabase(instance));
        await db.dropDatabase();
        await db.command({ dropAllRolesFromDatabase: 1 });
      }
      await admin.close();
    },
  };
}

/**
 * Makes these the only instances of the installation that have keys, for what looks at all of them: others' are left by
 * test files that ran before, and their folders of keys are gone.
 */
export async function forgetOtherKeyrings(admin: MongoClient, ids: readonly InstanceId[]): Promise<void> {
  const others = (await keyringsOf(admin).find({}).toArray())
    .map(({ _id }) => _id)
    .filter((id) => !ids.includes(id as InstanceId));
  for (const id of others) await forgetKeys(admin, id);
}

/** As if the instance had never had any. */
export async function forgetKeys(admin: MongoClient, id: string): Promise<void> {
  await keyringsOf(admin).deleteMany({ _id: id });
  for (const name of ['keys', 'signingKeys', 'verifierKeys'])
    await admin
      .db(controlDatabase)
      .collection<{ _id: string }>(name)
      .deleteMany({ _id: { $gte: `${id}/`, $lt: `${id}0` } });
}

function uniqueInstance(name: string): InstanceId {
  const id = `${name}-${randomBytes(4).toString('hex')}`;
  if (!instanceIdPattern.test(id)) throw new TypeError(`${id} is no instance name`);
  return id as InstanceId;
}
