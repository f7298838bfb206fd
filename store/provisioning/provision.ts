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
import { reconcileUser } from './users.ts';

export interface ProvisionOptions {
  /** The duties' users get roles in these; roles in instances provisioned before are kept. */
  readonly instances: readonly InstanceId[];
  readonly passwords: Readonly<Record<Duty, string>>;
}

/**
 * `admin` is a user that `checkAuthority` accepts. Throws `ReservedInstanceError` before anything is changed, and the
 * driver's errors; an index whose definition differs from the one that is there fails (code 85 or 86), since rebuilding
 * it is a migration.
 */
export async function provisionDatabase(admin: MongoClient, options: ProvisionOptions): Promise<void> {
  const databases = options.instances.map(instanceDatabase);
  const control = admin.db(controlDatabase);
  await prepareCollections(control, controlCollections, controlIndexes);
  await reconcileRoles(control, 'control');
  for (const name of databases) {
    const db = admin.db(name);
    await prepareCollections(db, instanceCollections, instanceIndexes);
    await reconcileRoles(db, 'instance');
  }
  for (const duty of duties) {
    await reconcileUser(admin.db('admin'), duty, options.passwords[duty], rolesOf(duty, databases, controlDatabase));
  }
}

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
