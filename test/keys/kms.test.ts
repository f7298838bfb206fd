import { DescribeKeyCommand, KMSClient, ListAliasesCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstanceId } from '../../schema/ids.ts';
import { openKmsKeyProvider } from '../../trail/keys/kms-provider.ts';
import { keyringsOf } from '../../trail/keys/keyring.ts';
import { requireKeys } from '../../trail/keys/require-keys.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { isThere } from '../setup/programs.ts';
import { event } from '../trail/events.ts';
import { moto, startMoto, type RunningMoto } from './moto.ts';
import { openTestKeys, type TestKeys } from './open.ts';

const acme = 'acme' as InstanceId;
const globex = 'globex' as InstanceId;

describe.skipIf(!isThere(moto))('keys under AWS KMS', () => {
  let server: RunningMoto;
  const before = { ...process.env };
  const open = (endpoint = server.endpoint, prefix = 'test') =>
    openKmsKeyProvider({ region: 'eu-central-1', endpoint, prefix, pendingDays: 7 });
  const client = () => new KMSClient({ region: 'eu-central-1', endpoint: server.endpoint });

  beforeAll(async () => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test-secret-value' });
    server = await startMoto();
  });
  afterAll(async () => {
    await server.stop();
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) delete process.env[name];
    Object.assign(process.env, before);
  });

  it('gives an epoch key to another process, by what the keyring keeps of it', async () => {
    const reference = await open().createEpoch(acme, 1);
    expect(reference.keyId).toMatch(/^arn:aws:kms:eu-central-1:/);
    const [made, again] = [await open().unlock(reference), await open().unlock(reference)];
    expect(made.export()).toEqual(again.export());
    expect(made.export()).toHaveLength(32);
  });

  it('makes one KMS key an instance and epoch, however often it is asked', async () => {
    const first = await open().createEpoch(acme, 5);
    const second = await open().createEpoch(acme, 5);
    expect(second.keyId).toBe(first.keyId);
    expect((await open().createEpoch(globex, 5)).keyId).not.toBe(first.keyId);
    const { Aliases = [] } = await client().send(new ListAliasesCommand({}));
    expect(Aliases.map(({ AliasName }) => AliasName)).toContain('alias/test/acme/5');
  });

  it('does not give the key of one instance or epoch for that of another', async () => {
    const reference = await open().createEpoch(acme, 2);
    for (const other of [
      { ...reference, instance: globex },
      { ...reference, epoch: 3 },
    ])
      await expect(open().unlock(other)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('has the KMS key deleted after the pending time, and gives nothing out of it from then on', async () => {
    const provider = open();
    const reference = await provider.createEpoch(acme, 9);
    const destruction = await provider.destroy(reference);
    expect(destruction).toMatchObject({ state: 'pending' });
    const days = ((destruction as { until: Date }).until.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(6);
    expect(days).toBeLessThan(8);
    expect(await provider.destroy(reference)).toEqual(destruction);
    const { KeyMetadata } = await client().send(new DescribeKeyCommand({ KeyId: reference.keyId }));
    expect(KeyMetadata?.KeyState).toBe('PendingDeletion');
  });

  it('says of a key that is not there what to look at, and of a KMS that does not answer to try again', async () => {
    const reference = await open().createEpoch(acme, 4);
    // The id of the KMS key stands at its beginning.
    const gone = { ...reference, dataKey: Buffer.concat([Buffer.alloc(8, '0'), reference.dataKey!.subarray(8)]) };
    await expect(open().unlock(gone)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE', retryable: false });
    const away = await open('http://127.0.0.1:9')
      .unlock(reference)
      .catch((error: unknown) => error);
    expect(away).toMatchObject({ code: 'KEY_PROVIDER_UNAVAILABLE', retryable: true });
    expect((away as Error).message).not.toContain('test-secret-value');
  });

  describe('carry a log', () => {
    let test: TestKeys;
    beforeAll(async () => {
      test = await openTestKeys(open(server.endpoint, 'log'));
      await test.work();
    });
    afterAll(() => test.close());

    it('through a rotation of the epoch, after which the old KMS key is deleted', async () => {
      const [result] = await test.trail.writer.append(
        [event({ parts: [{ name: 'after', content: 'kept' }] })],
        'platform',
      );
      if (result?.status !== 'accepted') throw new Error('not accepted');
      await test.rotate('epoch');
      expect(await test.destroyEpoch(1)).toMatchObject({ state: 'pending', keyId: expect.stringMatching(/^arn:/) });
      const keyring = await keyringsOf(test.database.admin).findOne({ _id: test.instance });
      expect(keyring?.epochs).toMatchObject([{ state: 'pending' }, { state: 'live', provider: 'aws-kms' }]);
      const anew = new Secrets(test.instance, open(server.endpoint, 'log'), test.database.clients.reader);
      expect((await anew.find(['temporal/1'])).size).toBe(1);
      await test.trail.reader.fresh(30_000);
      const placed = await test.trail.reader.at(result.receipt.index);
      const [seen] = await test.trail.reader.withParts([placed!], () => true);
      expect(seen!.parts!['after']).toEqual({ state: 'present', content: 'kept' });
    });

    it('and are missed at start where the settings name another provider', async () => {
      const { openFileKeyProvider } = await import('../../trail/keys/file-provider.ts');
      const other = await openFileKeyProvider('/nonexistent');
      await expect(requireKeys(test.database.clients.reader, other)).rejects.toThrow(
        `instance ${test.instance}: epoch key 2 of ${test.instance} is kept by aws-kms, not by file`,
      );
    });
  });
});
