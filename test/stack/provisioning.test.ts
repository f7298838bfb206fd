import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { InstanceId } from '../../schema/ids.ts';
import { checkAuthority } from '../../store/provisioning/authority.ts';
import {
  controlCollections,
  controlDatabase,
  instanceCollections,
  instanceDatabase,
  ReservedInstanceError,
} from '../../store/provisioning/collections.ts';
import { dutyUri } from '../../store/provisioning/duties.ts';
import { instanceIndexes } from '../../store/provisioning/indexes.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { provisionTestInstances, testPasswords, type TestInstances } from '../setup/database.ts';

let test: TestInstances<'acme' | 'globex'>;
beforeAll(async () => {
  test = await provisionTestInstances(['acme', 'globex']);
});
afterAll(() => test.close());

const provisionAgain = (instances: readonly InstanceId[]) =>
  provisionDatabase(test.admin, { instances, passwords: testPasswords });

const collectionNames = async (client: MongoClient, database: string) =>
  (await client.db(database).listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).toSorted();

describe('provisioning', () => {
  it('makes every collection up front', async () => {
    expect(await collectionNames(test.admin, instanceDatabase(test.ids.acme))).toEqual(instanceCollections.toSorted());
    expect(await collectionNames(test.admin, controlDatabase)).toEqual(controlCollections.toSorted());
  });

  it('makes the indexes of the table', async () => {
    const present = await test.admin.db(instanceDatabase(test.ids.globex)).collection('events').indexes();
    const keys = present.map(({ key, unique }) => (unique ? { key, unique } : { key }));
    for (const index of instanceIndexes.events ?? []) expect(keys).toContainEqual(index);
  });

  it('changes nothing when it runs again, and keeps roles in instances that it is not given', async () => {
    const describeAll = async () => ({
      users: await test.admin.db('admin').command({ usersInfo: 'tk-appender' }),
      roles: await test.admin
        .db(instanceDatabase(test.ids.acme))
        .command({ rolesInfo: 1, showPrivileges: true })
        .then(({ roles }) => roles),
    });
    const before = await describeAll();
    await provisionAgain([test.ids.acme]);
    const after = await describeAll();
    expect(after.roles).toEqual(before.roles);
    const rolesOf = ({ users }: typeof before) => users['users'][0].roles as { db: string }[];
    expect(rolesOf(after)).toContainEqual({ role: 'tk-appender', db: instanceDatabase(test.ids.globex) });
    await expect(
      test.clients.reader.db(instanceDatabase(test.ids.globex)).collection('record').findOne(),
    ).resolves.toBeNull();
  });

  it('brings a role that was altered back to the table, for users who are connected already', async () => {
    const db = test.admin.db(instanceDatabase(test.ids.acme));
    const segments = test.clients.appender.db(db.databaseName).collection('record');
    await db.command({
      updateRole: 'tk-appender',
      privileges: [{ resource: { db: db.databaseName, collection: 'record' }, actions: ['find', 'remove'] }],
    });
    await expect(segments.deleteOne({ _id: 'nobody' as never })).resolves.toMatchObject({ deletedCount: 0 });
    await expect(segments.insertOne({})).rejects.toMatchObject({ code: 13 });
    await provisionAgain([test.ids.acme]);
    await expect(segments.deleteOne({ _id: 'nobody' as never })).rejects.toMatchObject({ code: 13 });
    await expect(segments.insertOne({})).resolves.toMatchObject({ acknowledged: true });
  });

  it('makes good what a run that was cut off left out', async () => {
    const db = test.admin.db(instanceDatabase(test.ids.globex));
    await db.collection('tiles').drop();
    await db.command({ dropRole: 'tk-projector' });
    await provisionAgain([test.ids.globex]);
    const tiles = test.clients.projector.db(db.databaseName).collection('tiles');
    await expect(tiles.insertOne({})).resolves.toMatchObject({ acknowledged: true });
  });

  it('can run in several processes at once', async () => {
    const instances = ['one', 'two', 'three'].map((name) => `${name}-${test.ids.acme}` as InstanceId);
    try {
      await Promise.all(instances.map((_, i) => provisionAgain([...instances.slice(i), ...instances.slice(0, i)])));
      const { users } = await test.admin.db('admin').command({ usersInfo: 'tk-appender' });
      for (const instance of instances) {
        expect(users[0].roles).toContainEqual({ role: 'tk-appender', db: instanceDatabase(instance) });
      }
    } finally {
      for (const instance of instances) {
        await test.admin.db(instanceDatabase(instance)).dropDatabase();
        await test.admin.db(instanceDatabase(instance)).command({ dropAllRolesFromDatabase: 1 });
      }
    }
  });

  it('refuses an instance whose database would be the control database', async () => {
    await expect(provisionAgain(['control' as InstanceId])).rejects.toThrow(ReservedInstanceError);
  });
});

describe("a duty's connection string", () => {
  it('keeps hosts and options, and puts the duty in place of the credentials', () => {
    expect(
      dutyUri(
        'mongodb://root:s%40crt@a:1,b:2/somewhere?replicaSet=rs0&authSource=x&authMechanism=PLAIN',
        'reader',
        'p@/',
      ),
    ).toBe('mongodb://tk-reader:p%40%2F@a:1,b:2/?replicaSet=rs0&authSource=admin');
    expect(dutyUri('mongodb+srv://cluster.example', 'anchor', 'p')).toBe(
      'mongodb+srv://tk-anchor:p@cluster.example/?authSource=admin',
    );
  });

  it('refuses what is no connection string, without repeating it', () => {
    expect(() => dutyUri('https://user:secret@host', 'reader', 'p')).toThrow(/not a connection string/);
    expect(() => dutyUri('https://user:secret@host', 'reader', 'p')).not.toThrow(/secret/);
  });
});

describe('the authority to provision', () => {
  it('is enough for the root user', async () => {
    expect(await checkAuthority(test.admin)).toEqual({ state: 'enough' });
  });

  it("is enough for MongoDB's two built-in roles that the message recommends", async () => {
    const roles = ['userAdminAnyDatabase', 'readWriteAnyDatabase'];
    await test.admin.db('admin').command({ createUser: 'recommended', pwd: 'p', roles });
    const uri = inject('mongodbAdminUri').replace(/\/\/[^@]*@/, '//recommended:p@');
    const client = await MongoClient.connect(uri);
    try {
      expect(await checkAuthority(client)).toEqual({ state: 'enough' });
      await provisionDatabase(client, { instances: [test.ids.acme], passwords: testPasswords });
    } finally {
      await client.close();
      await test.admin.db('admin').command({ dropUser: 'recommended' });
    }
  });

  it('is lacking for a user who may not create users, and for none at all; the reason says so', async () => {
    expect(await checkAuthority(test.clients.applier)).toMatchObject({
      state: 'lacking',
      reason: expect.stringContaining('may not createUser, createRole'),
    });
    const anonymous = await MongoClient.connect(inject('mongodbAdminUri').replace(/\/\/[^@]*@/, '//'));
    try {
      expect(await checkAuthority(anonymous)).toMatchObject({
        state: 'lacking',
        reason: expect.stringContaining('names no user'),
      });
    } finally {
      await anonymous.close();
    }
  });
});
