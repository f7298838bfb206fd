/**
 * Whether a MongoDB connection may provision: a replica set or a sharded cluster, authentication on, and a user who may
 * create users, roles, collections and indexes in any database.
 */
import type { Document, MongoClient } from 'mongodb';

export type Authority = { readonly state: 'enough' } | { readonly state: 'lacking'; readonly reason: string };

const neededOnAnyDatabase = [
  'createUser',
  'createRole',
  'grantRole',
  'changePassword',
  'createCollection',
  'createIndex',
];

export async function checkAuthority(admin: MongoClient): Promise<Authority> {
  const db = admin.db('admin');
  const hello = await db.command({ hello: 1 });
  if (hello['setName'] === undefined && hello['msg'] !== 'isdbgrid') {
    return lacking('it is a standalone server, and majority writes need a replica set (start it with --replSet)');
  }
  const status = await db.command({ connectionStatus: 1, showPrivileges: true });
  const authInfo = status['authInfo'] as { authenticatedUsers: Document[]; authenticatedUserPrivileges: Privilege[] };
  if (authInfo.authenticatedUsers.length === 0) {
    return lacking('it names no user: give one that may create users and roles, in a MongoDB with authentication on');
  }
  const granted = new Set(authInfo.authenticatedUserPrivileges.filter(isForAnyDatabase).flatMap((p) => p.actions));
  const missing = neededOnAnyDatabase.filter((action) => !granted.has(action) && !granted.has('anyAction'));
  return missing.length === 0
    ? { state: 'enough' }
    : lacking(
        `its user may not ${missing.join(', ')} in every database: grant it userAdminAnyDatabase and readWriteAnyDatabase`,
      );
}

interface Privilege {
  readonly resource: { readonly db?: string; readonly collection?: string; readonly anyResource?: boolean };
  readonly actions: readonly string[];
}

/** `{db: '', collection: ''}` is MongoDB's name for every ordinary collection of every database. */
const isForAnyDatabase = ({ resource }: Privilege): boolean =>
  resource.anyResource === true || (resource.db === '' && resource.collection === '');

const lacking = (reason: string): Authority => ({ state: 'lacking', reason });
