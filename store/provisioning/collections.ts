/** Every collection there is, and the databases they are in. None is ever made implicitly by a first write. */
import type { InstanceId } from '../../schema/ids.ts';
import { controlDatabase, instanceDatabase as databaseOf } from '../../trail/database.ts';

export { controlDatabase };

/**
 * In each instance's own database. `record` holds segments and boxes; the others are projections of it and can be
 * rebuilt: `events` (one document an event, for queries), `tiles`, `emitters` (sequence gaps), `tails` (cursors).
 */
export const instanceCollections = ['record', 'events', 'tiles', 'emitters', 'tails'] as const;
export type InstanceCollection = (typeof instanceCollections)[number];

/** In the control database, shared by all instances; each document names its instance. */
export const controlCollections = [
  'keyrings',
  'keys',
  'signingKeys',
  'verifierKeys',
  'subjects',
  'anchors',
  'instances',
  'principals',
  'identities',
  'tokens',
  'policies',
  'versions',
  'connectors',
  'delegations',
  'witnesses',
  'cosignatures',
  'witnessStatements',
  'leases',
  'refusals',
] as const;
export type ControlCollection = (typeof controlCollections)[number];

export class ReservedInstanceError extends Error {
  override readonly name = 'ReservedInstanceError';
  readonly code = 'INSTANCE_NAME_RESERVED';

  constructor(instance: string) {
    super(`"${instance}" can't name an instance: its database would be ${controlDatabase}. Choose another name.`);
  }
}

/** Throws `ReservedInstanceError` for the one name whose database would be the control database. */
export function instanceDatabase(instance: InstanceId): string {
  const database = databaseOf(instance);
  if (database === controlDatabase) throw new ReservedInstanceError(instance);
  return database;
}
