/**
 * Makes MongoDB ready for the processes: databases, collections, indexes, roles and users. Idempotent, and safe to run
 * in two processes at once; a run that was cut off is completed by the next.
 */
import { MongoServerError, type Db, type MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { controlCollections, controlDatabase, instanceCollections, instanceDatabase } from './collections.ts';
import { duties, type Duty } from './duties.ts';
import { controlIndexes, instanceIndexes, type CollectionIndex } from './indexes.ts';
import { reconcileRoles, rolesOf } from './roles.ts';
import { grantRoles, reconcileUser, revokeRoles } from './users.ts';

export interface ProvisionOptions {
  /** The duties' users get roles in these; roles in instances provisioned before are kept. */
  readonly instances: readonly InstanceId[];
  readonly passwords: Readonly<Record<Duty, string>>;
}

/**
 * What all instances share (the control database and the duties' users), and these instances' databases. `admin` is a
 * user that `checkAuthority` accepts. Throws `ReservedInstanceError` before anything is changed, and the driver's errors;
 * an index whose definition differs from the one that is there fails (code 85 or 86), since rebuilding it is a migration.
 */
export async function provisionDatabase(admin: MongoClient, options: ProvisionOptions): Promise<void> {
  options.instances.forEach(instanceDatabase);
  const control = admin.db(controlDatabase);
  await prepareCollections(control, controlCollections, controlIndexes);
  await reconcileRoles(control, 'control');
  for (const duty of duties)
    await reconcileUser(admin.db('admin'), duty, options.passwords[duty], rolesOf(duty, [], controlDatabase));
  for (const instance of options.instances) await provisionInstanceDatabase(admin, instance);
}

/** One instance's database, and the roles in it for the duties' users, who are there already. No password is needed. */
export async function provisionInstanceDatabase(admin: MongoClient, instance: InstanceId): Promise<void> {
  const db = admin.db(instanceDatabase(instance));
  await prepareCollections(db, instanceCollections, instanceIndexes);
  await reconcileRoles(db, 'instance');
  for (const duty of duties) await grantRoles(admin.db('admin'), duty, rolesOf(duty, [db.databaseName]));
}

/**
 * Takes an instance away that never came to be: its database, roles and users' hold on them, and what it has in the
 * control database. Its record is left to whoever made it, and its wrapped keys stay: nothing is left that they open,
 * processes may hold them still, and whoever gets the name next goes on with them.
 */
export async function dropInstance(admin: MongoClient, instance: InstanceId, origin: string): Promise<void> {
  const db = admin.db(instanceDatabase(instance));
  // Users first: one who holds a role that is not there can't be told from one whose role was lost.
  for (const duty of duties) await revokeRoles(admin.db('admin'), duty, rolesOf(duty, [db.databaseName]));
  await db.command({ dropAllRolesFromDatabase: 1, writeConcern: { w: 'majority', j: true } });
  await db.dropDatabase({ writeConcern: { w: 'majority', j: true } });
  const control = admin.db(controlDatabase);
  // What belongs to an instance is named `<instance>/...`, and what belongs to its log, after the log's origin.
  const owned = [`${instance}/`, origin].map((prefix) => ({ _id: { $gte: prefix, $lt: `${prefix}\uffff` } }));
  for (const name of controlCollections.filter((one) => !keysOfInstances.has(one)))
    await control
      .collection<{ _id: string }>(name)
      .deleteMany({ $or: owned }, { writeConcern: { w: 'majority', j: true } });
}

const keysOfInstances: ReadonlySet<string> = new Set(['keys', 'keyrings', 'signingKeys', 'verifierKeys']);

const namespaceExists = 48;

async function prepareCollections<C extends string>(
  db: Db,
  collections: readonly C[],
  indexes: Partial<Record<C, readonly CollectionIndex[]>>,
): Promise<void> {
  const present = new Set((await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name));
  for (const name of collections) {
    if (!present.has(name)) await createCollection(db, name);
    const wanted = indexes[name] ?? [];
    if (wanted.length > 0) {
      await db.collection(name).createIndexes(wanted.map((index) => ({ ...index, key: { ...index.key } })));
    }
  }
}

async function createCollection(db: Db, name: string): Promise<void> {
  try {
    await db.createCollection(name, { writeConcern: { w: 'majority' } });
  } catch (error) {
    // Another process made it between our look and our command.
    if (!(error instanceof MongoServerError && error.code === namespaceExists)) throw error;
  }
}
