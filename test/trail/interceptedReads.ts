/** A MongoDB client whose reads a test can hold up, or let fail, at a place that it names. */
import { Binary, type Collection, type Db, type MongoClient } from 'mongodb';
import { recordCollection } from '../../trail/database.ts';

export interface InterceptedReads {
  readonly client: MongoClient;
  /**
   * Called around each `find().toArray()` and `findOne()` of a collection, with the number of the read, from 1. Reads of
   * the record go by what they look for: `segments`, or `boxes`.
   */
  readonly before: Map<string, (read: number) => Promise<void> | void>;
  readonly after: Map<string, (read: number) => Promise<void> | void>;
}

export const overriding = <T extends object>(target: T, overrides: Record<string, unknown>): T =>
  new Proxy(target, {
    get(object, name) {
      if (typeof name === 'string' && Object.hasOwn(overrides, name)) return overrides[name];
      const value: unknown = Reflect.get(object, name, object);
      return typeof value === 'function' ? value.bind(object) : value;
    },
  });

const nameOf = (collection: string, filter: { _id?: { $in?: unknown[] } } = {}): string => {
  if (collection !== recordCollection) return collection;
  return filter._id?.$in?.[0] instanceof Binary ? 'boxes' : 'segments';
};

export const interceptReads = (client: MongoClient): InterceptedReads => {
  const before: InterceptedReads['before'] = new Map();
  const after: InterceptedReads['after'] = new Map();
  const reads = new Map<string, number>();
  const around = async <T>(name: string, read: () => Promise<T>): Promise<T> => {
    const number = (reads.get(name) ?? 0) + 1;
    reads.set(name, number);
    await before.get(name)?.(number);
    const found = await read();
    await after.get(name)?.(number);
    return found;
  };
  const collectionOf = (db: Db, name: string, options: object): Collection => {
    const collection = db.collection(name, options);
    return overriding(collection, {
      findOne: (...query: [never]) => around(nameOf(name, query[0]), () => collection.findOne(...query)),
      find: (...query: [never]) => {
        const cursor = collection.find(...query);
        return overriding(cursor, { toArray: () => around(nameOf(name, query[0]), () => cursor.toArray()) });
      },
    });
  };
  const intercepted = overriding(client, {
    db: (database: string) => {
      const db = client.db(database);
      return overriding(db, { collection: (name: string, options: object) => collectionOf(db, name, options) });
    },
  });
  return { client: intercepted, before, after };
};
