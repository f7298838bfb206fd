import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SubjectId } from '../../schema/ids.ts';
import { destroySecrets, outOfUseAfterMs } from '../../trail/keys/destruction.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { keysOf, secretName, Secrets } from '../../trail/keys/secrets.ts';
import { signingKeysOf, verifierKeysOf } from '../../trail/keys/signing.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

let test: TestTrail;
let keeper: TestTrail['database']['clients']['keeper'];
beforeAll(async () => {
  test = await openTestTrail();
  keeper = test.database.clients.keeper;
});
afterAll(() => test.close());

const open = () => new Secrets(test.instance, test.keys, test.database.clients.appender);
const unavailable = { code: 'KEY_UNAVAILABLE' };

describe('a destroyed secret', () => {
  const gone = secretName.subjectClass('sub_1' as SubjectId, 'operational');

  it('is never made again under its name, nor is one that never was', async () => {
    const before = (await open().ensure([gone])).get(gone)!;
    const never = secretName.subjectName('sub_2' as SubjectId);
    await destroySecrets(keeper, test.instance, [gone, never]);
    await expect(open().ensure([gone])).rejects.toMatchObject(unavailable);
    await expect(open().ensure([never])).rejects.toMatchObject(unavailable);
    expect((await open().find([gone])).size).toBe(0);
    expect(await open().destroyed([gone, never, 'other'])).toEqual(new Set([gone, never]));
    const document = await keysOf(test.database.admin).findOne({ _id: `${test.instance}/${gone}` });
    expect(JSON.stringify(document)).not.toContain(before.toString('base64'));
    expect(document).not.toHaveProperty('wrapped');
  });

  it('stays destroyed where it is destroyed again', async () => {
    const { destroyed } = (await keysOf(test.database.admin).findOne({ _id: `${test.instance}/${gone}` }))!;
    await destroySecrets(keeper, test.instance, [gone]);
    expect((await keysOf(test.database.admin).findOne({ _id: `${test.instance}/${gone}` }))!.destroyed).toEqual(
      destroyed,
    );
  });

  it('is out of use within the stated time in a process that holds it', async () => {
    const name = secretName.subjectName('sub_3' as SubjectId);
    const holder = open();
    await holder.ensure([name]);
    await destroySecrets(keeper, test.instance, [name]);
    const deadline = performance.now() + outOfUseAfterMs;
    while ((await holder.find([name])).size > 0) {
      expect(performance.now()).toBeLessThan(deadline + 2000);
      await delay(50);
    }
    await expect(holder.ensure([name])).rejects.toMatchObject(unavailable);
  });
});

describe('secrets', () => {
  it('are one, where two processes make them at once', async () => {
    const names = Array.from({ length: 50 }, (_, n) => `both/${n}`);
    const [one, two] = await Promise.all([open().ensure(names), open().ensure(names)]);
    expect(one).toEqual(two);
  });

  it('do not open under another name', async () => {
    await open().ensure(['a/1']);
    const document = (await keysOf(test.database.admin).findOne({ _id: `${test.instance}/a/1` }))!;
    await keysOf(test.database.admin).insertOne({ ...document, _id: `${test.instance}/b/1` });
    await expect(open().existing(['b/1'])).rejects.toMatchObject(unavailable);
  });

  it('of an epoch that was closed meanwhile are waited for, and are had once they are moved', async () => {
    const { keyringsOf } = await import('../../trail/keys/keyring.ts');
    const { rewrapAll } = await import('../../trail/keys/rewrap.ts');
    const { makeNextEpoch } = await import('../../trail/keys/epochs.ts');
    const secret = (await open().ensure(['late/1'])).get('late/1')!;
    const made = await makeNextEpoch(keeper, test.keys, test.instance);
    const set = (changes: object) => keyringsOf(keeper).updateOne({ _id: test.instance }, changes);
    await set({
      $set: { current: made.epoch, 'epochs.0.state': 'closed', 'epochs.1.state': 'live' },
      $inc: { generation: 1 },
    });
    const reading = open().existing(['late/1']);
    await rewrapAll(keeper, test.keys, test.instance);
    expect((await reading).get('late/1')).toEqual(secret);
  });
});

describe('who may read what', () => {
  it('the wrapped seeds: the appender and the keeper, and nobody else', async () => {
    for (const duty of ['reader', 'projector', 'applier', 'witness', 'archiver', 'anchor'] as const)
      await expect(signingKeysOf(test.database.clients[duty]).findOne()).rejects.toMatchObject({ code: 13 });
    expect(await signingKeysOf(test.database.clients.appender).countDocuments({ instance: test.instance })).toBe(1);
  });

  it('the wrapped secrets of payload: none of those who only follow the record', async () => {
    for (const duty of ['projector', 'witness', 'anchor'] as const)
      await expect(keysOf(test.database.clients[duty]).findOne()).rejects.toMatchObject({ code: 13 });
  });

  it('nobody who appends can take a key away or change one', async () => {
    const { appender } = test.database.clients;
    const name = `${test.instance}/instance-name`;
    for (const collection of [keysOf(appender), signingKeysOf(appender), verifierKeysOf(appender)] as const) {
      await expect(collection.deleteOne({ _id: name })).rejects.toMatchObject({ code: 13 });
      await expect(collection.updateOne({ _id: name }, { $set: { epoch: 0 } })).rejects.toMatchObject({ code: 13 });
    }
  });

  it('a verifier key that was put there by hand is not taken for ours', async () => {
    const other = await openTestTrail();
    try {
      const foreign = (await verifierKeysOf(other.database.admin).findOne({ instance: other.instance }))!;
      const own = verifierKeysOf(test.database.admin);
      const kept = (await own.findOne({ instance: test.instance }))!;
      const forged = foreign.vkey.replace(other.origin, test.origin);
      await own.updateOne({ _id: kept._id }, { $set: { vkey: forged } });
      await expect(test.another()).rejects.toThrow(/verifier key|key id/);
      await own.updateOne({ _id: kept._id }, { $set: { vkey: kept.vkey } });
      await expect(test.another()).resolves.toBeDefined();
    } finally {
      await other.close();
    }
  });
});

it('two installations with folders of their own are told apart, before anything is encrypted twice', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-other-'));
  try {
    const other = new Secrets(test.instance, await openFileKeyProvider(folder), test.database.clients.appender);
    await expect(other.ensure(['x/1'])).rejects.toMatchObject(unavailable);
  } finally {
    await rm(folder, { recursive: true });
  }
});
