/** Keeps the roles of one database as the table of duties says. */
import { isDeepStrictEqual } from 'node:util';
import { MongoServerError, type Db } from 'mongodb';
import { collectionActions, duties, dutyPrivileges, dutyUser, type CollectionAction, type Duty } from './duties.ts';

interface Privilege {
  readonly resource: { readonly db: string; readonly collection: string };
  readonly actions: readonly CollectionAction[];
}

const roleExists = 51_002;

/**
 * One role a duty that has something to do in this kind of database, made or updated in place, so that users who hold
 * it follow a change of the table at once. A role that the table no longer fills is emptied, not dropped.
 */
export async function reconcileRoles(db: Db, kind: 'instance' | 'control'): Promise<void> {
  const { roles } = (await db.command({ rolesInfo: 1, showPrivileges: true })) as {
    roles: { role: string; privileges: Privilege[]; roles: unknown[] }[];
  };
  const present = new Map(roles.map((role) => [role.role, role]));
  for (const duty of duties) {
    const name = dutyUser(duty);
    const wanted = privilegesOf(duty, kind, db.databaseName);
    const role = present.get(name);
    if (role === undefined) {
      if (wanted.length > 0) await createRole(db, name, wanted);
    } else if (role.roles.length > 0 || !isDeepStrictEqual(normalised(role.privileges), normalised(wanted))) {
      await updateRole(db, name, wanted);
    }
  }
}

/** The databases' roles that the user of a duty must hold. */
export function rolesOf(duty: Duty, instanceDatabases: readonly string[], controlDatabase?: string) {
  const databases = [
    ...(hasAny(duty, 'instance') ? instanceDatabases : []),
    ...(controlDatabase !== undefined && hasAny(duty, 'control') ? [controlDatabase] : []),
  ];
  return databases.map((db) => ({ role: dutyUser(duty), db }));
}

const hasAny = (duty: Duty, kind: 'instance' | 'control'): boolean =>
  Object.keys(dutyPrivileges[duty][kind]).length > 0;

const privilegesOf = (duty: Duty, kind: 'instance' | 'control', db: string): Privilege[] =>
  Object.entries(dutyPrivileges[duty][kind]).map(([collection, actions]) => ({
    resource: { db, collection },
    actions: [...actions],
  }));

/** MongoDB returns privileges and actions in an order of its own. */
const normalised = (privileges: readonly Privilege[]) =>
  privileges
    .map(({ resource, actions }) => ({
      collection: resource.collection,
      db: resource.db,
      actions: [...collectionActions.filter((a) => actions.includes(a)), ...actions.filter((a) => !known.has(a))],
    }))
    .toSorted((a, b) => (a.collection < b.collection ? -1 : 1));

const known: ReadonlySet<string> = new Set(collectionActions);
const writeConcern = { w: 'majority', j: true } as const;

async function createRole(db: Db, name: string, privileges: Privilege[]): Promise<void> {
  try {
    await db.command({ createRole: name, privileges, roles: [], writeConcern });
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === roleExists)) throw error;
    // Another process made it meanwhile, perhaps from another version of the table: ours is the one asked for.
    await updateRole(db, name, privileges);
  }
}

async function updateRole(db: Db, name: string, privileges: Privilege[]): Promise<void> {
  await db.command({ updateRole: name, privileges, roles: [], writeConcern });
}
