import { MongoServerError, type Collection, type MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  controlCollections,
  controlDatabase,
  instanceCollections,
  instanceDatabase,
} from '../../store/provisioning/collections.ts';
import {
  collectionActions,
  duties,
  dutyPrivileges,
  type CollectionAction,
  type Duty,
} from '../../store/provisioning/duties.ts';
import { provisionTestInstances, type TestInstances } from '../setup/database.ts';

const unauthorized = 13;

/** None of them changes anything: the control database is shared with other tests. */
const attempts: Record<CollectionAction, (collection: Collection, client: MongoClient) => Promise<unknown>> = {
  find: (collection) => collection.findOne({ _id: 'nobody' as never }),
  insert: (collection, client) =>
    client.withSession(async (session) => {
      session.startTransaction();
      await collection.insertOne({ probe: true }, { session });
      await session.abortTransaction();
    }),
  update: (collection) => collection.updateOne({ _id: 'nobody' as never }, { $set: { probe: false } }),
  remove: (collection) => collection.deleteOne({ _id: 'nobody' as never }),
};

async function isAllowed(client: MongoClient, collection: Collection, action: CollectionAction): Promise<boolean> {
  try {
    await attempts[action](collection, client);
    return true;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === unauthorized) return false;
    throw error;
  }
}

async function allowedIn(client: MongoClient, database: string, collections: readonly string[]) {
  const allowed: Record<string, CollectionAction[]> = {};
  for (const name of collections) {
    for (const action of collectionActions) {
      if (await isAllowed(client, client.db(database).collection(name), action)) (allowed[name] ??= []).push(action);
    }
  }
  return allowed;
}

let test: TestInstances<'acme' | 'globex'>;
beforeAll(async () => {
  test = await provisionTestInstances(['acme', 'globex']);
});
afterAll(() => test.close());

describe.each(duties)('the MongoDB user of the duty %s', (duty: Duty) => {
  it('may do in an instance what the table says, and nothing else', async () => {
    const database = instanceDatabase(test.ids.acme);
    expect(await allowedIn(test.clients[duty], database, instanceCollections)).toEqual(dutyPrivileges[duty].instance);
  });

  it('may do in the control database what the table says, and nothing else', async () => {
    expect(await allowedIn(test.clients[duty], controlDatabase, controlCollections)).toEqual(
      dutyPrivileges[duty].control,
    );
  });

  it('has nothing to say in collections, databases and users that the table does not name', async () => {
    const client = test.clients[duty];
    expect(await allowedIn(client, 'tk_elsewhere', instanceCollections)).toEqual({});
    expect(await allowedIn(client, instanceDatabase(test.ids.acme), ['surprise'])).toEqual({});
    expect(await allowedIn(client, controlDatabase, ['surprise'])).toEqual({});
    await expect(client.db(instanceDatabase(test.ids.acme)).dropDatabase()).rejects.toMatchObject({ code: 13 });
    await expect(client.db('admin').command({ createUser: 'x', pwd: 'x', roles: [] })).rejects.toMatchObject({
      code: 13,
    });
  });
});

const whoMayInTheRecord = (action: CollectionAction) =>
  duties.filter((duty) => dutyPrivileges[duty].instance.record?.includes(action));

describe('the table of duties', () => {
  it('lets nobody update the record, and nobody but retention remove from it', () => {
    expect(whoMayInTheRecord('update')).toEqual([]);
    expect(whoMayInTheRecord('remove')).toEqual(['retention']);
  });

  it('lets the anchor reach nothing but the anchors, and no one else write them', () => {
    expect(dutyPrivileges.anchor).toEqual({ instance: {}, control: { anchors: ['find', 'insert'] } });
    for (const duty of duties.filter((other) => other !== 'anchor')) {
      expect(dutyPrivileges[duty].control.anchors ?? []).not.toContain('insert');
    }
  });
});
