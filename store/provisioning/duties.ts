/**
 * What each duty may do, as data: roles are made from this table, and a test compares it with what MongoDB allows.
 * A process holds only the users of its duties. Nobody but retention may remove from the record, and nobody at all may
 * update it: MongoDB refuses with code 13 (Unauthorized).
 */
import type { ControlCollection, InstanceCollection } from './collections.ts';

/** MongoDB's privilege actions; an upsert needs insert and update. */
export type CollectionAction = 'find' | 'insert' | 'update' | 'remove';
export const collectionActions: readonly CollectionAction[] = ['find', 'insert', 'update', 'remove'];

export const duties = [
  'appender',
  'anchor',
  'reader',
  'projector',
  'applier',
  'keeper',
  'witness',
  'archiver',
  'retention',
  'provisioner',
] as const;
export type Duty = (typeof duties)[number];

type Allowed<C extends string> = Partial<Record<C, readonly CollectionAction[]>>;
export interface DutyPrivileges {
  /** In the database of each instance. */
  readonly instance: Allowed<InstanceCollection>;
  readonly control: Allowed<ControlCollection>;
}

const find = ['find'] as const;
const insert = ['insert'] as const;
const add = ['find', 'insert'] as const;
const upsert = ['find', 'insert', 'update'] as const;
const own = ['find', 'insert', 'update', 'remove'] as const;

export const dutyPrivileges: Record<Duty, DutyPrivileges> = {
  /** Extends the log. Looks ids up in the index, and makes the keys and subjects that an event needs. */
  appender: {
    instance: { record: add, events: find, tails: find, emitters: find },
    control: {
      keyrings: add,
      keys: add,
      signingKeys: add,
      verifierKeys: add,
      subjects: add,
      instances: find,
      refusals: insert,
    },
  },
  /** Keeps checkpoints where no user of the record's database reaches. */
  anchor: { instance: {}, control: { anchors: add } },
  reader: {
    instance: { record: find, events: find, tiles: find, emitters: find, tails: find },
    control: {
      keyrings: find,
      keys: find,
      verifierKeys: find,
      subjects: find,
      anchors: find,
      instances: find,
      principals: find,
      identities: find,
      tokens: find,
      policies: find,
      versions: find,
      connectors: find,
      delegations: find,
      witnesses: find,
      cosignatures: find,
      witnessStatements: find,
      refusals: find,
    },
  },
  /** Derives the projections from the segments; leases decide which process does. */
  projector: {
    instance: { record: find, events: own, tiles: own, emitters: own, tails: own },
    control: { instances: find, leases: upsert },
  },
  /** Applies control entries of the log to the control state. */
  applier: {
    instance: { record: find, tails: upsert },
    control: {
      instances: upsert,
      principals: upsert,
      identities: upsert,
      tokens: upsert,
      policies: upsert,
      versions: upsert,
      connectors: upsert,
      delegations: upsert,
      witnesses: upsert,
      leases: upsert,
      keyrings: ['find', 'update'],
      verifierKeys: ['find', 'update'],
      keys: add,
      subjects: add,
    },
  },
  /**
   * Submits checkpoints to witnesses and keeps what they answer. Reads the record for the proofs and holds no key to what is
   * encrypted in it; what it kept it can't take back.
   */
  witness: {
    instance: { record: find, tiles: find },
    control: {
      instances: find,
      anchors: find,
      witnesses: find,
      cosignatures: add,
      witnessStatements: add,
      leases: upsert,
    },
  },
  /**
   * Copies the record, and the wrapped keys and subjects that it needs, into the archive: ciphertext all of it. Holds no
   * key, and changes nothing but the cursor of its tail.
   */
  archiver: {
    instance: { record: find, tails: upsert },
    control: {
      instances: find,
      anchors: find,
      cosignatures: find,
      keyrings: find,
      keys: find,
      verifierKeys: find,
      subjects: find,
      connectors: find,
      leases: upsert,
    },
  },
  /**
   * Rotates keys: makes them, wraps anew what is wrapped, leaves tombstones. Removes look-ups that were moved to a new
   * key, and no key: a destroyed one stays visible as such.
   */
  keeper: {
    instance: {},
    control: {
      instances: find,
      keyrings: ['find', 'update'],
      keys: upsert,
      signingKeys: upsert,
      verifierKeys: upsert,
      subjects: own,
      identities: own,
    },
  },
  /** The only one who may remove from the record. No process holds it yet. */
  retention: { instance: { record: ['find', 'remove'] }, control: {} },
  /** Names, activates and un-names instances. Database and roles are made over the administrator's connection. */
  provisioner: { instance: {}, control: { instances: own } },
};

/** The MongoDB user of a duty, and the name of its role in each database. */
export const dutyUser = (duty: Duty): string => `tk-${duty}`;

/** Where the users of the duties are kept, whatever database they work in. */
const authSource = 'admin';

/**
 * The connection string of a duty: hosts and options of `baseUri`, with the duty's user. Credentials, authentication
 * options and default database of `baseUri` do not survive. Throws a TypeError for what is no connection string.
 */
export function dutyUri(baseUri: string, duty: Duty, password: string): string {
  const parts = /^(mongodb(?:\+srv)?:\/\/)(?:[^@/?]*@)?([^@/?]+)(?:\/[^?]*)?(?:\?(.*))?$/.exec(baseUri);
  if (parts === null) throw new TypeError('The MongoDB address is not a connection string (mongodb://host:port/...).');
  const [, scheme, hosts, query] = parts;
  const kept = Array.from(new URLSearchParams(query ?? '')).filter(([name]) => !/^auth/i.test(name));
  const options = new URLSearchParams(kept);
  options.set('authSource', authSource);
  const user = `${encodeURIComponent(dutyUser(duty))}:${encodeURIComponent(password)}`;
  return `${scheme}${user}@${hosts}/?${options.toString()}`;
}
