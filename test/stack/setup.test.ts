import { MongoClient } from 'mongodb';
import { describe, expect, inject, it } from 'vitest';

describe('the servers of the tests', () => {
  it('are a replica set with authentication, and a Temporal address', async () => {
    const uri = inject('mongodbAdminUri');
    const client = await MongoClient.connect(uri);
    const hello = await client.db('admin').command({ hello: 1 });
    expect(hello['setName']).toBe('rs0');
    await client.close();
    expect(inject('temporalAddress')).toMatch(/^127\.0\.0\.1:\d+$/);
  });
});
