/** Processes that start without the keys of the data that is there: they say what is missing, and make nothing new. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inject } from 'vitest';
import { processDuties } from '../../stack/config.ts';
import { passwordSetting } from '../../stack/settings.ts';
import { destroyEpoch, makeNextEpoch } from '../../trail/keys/epochs.ts';
import { FileKeyProvider, openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { keyringsOf } from '../../trail/keys/keyring.ts';
import { KeysMissing, requireKeys } from '../../trail/keys/require-keys.ts';
import { forgetOtherKeyrings, testPasswords } from '../setup/database.ts';
import { event } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

const root = resolve(import.meta.dirname, '../..');
const program = join(root, 'node_modules/.bin/node');

let test: TestTrail;
let folder: string;
beforeAll(async () => {
  test = await openTestTrail();
  await forgetOtherKeyrings(test.database.admin, [test.instance]);
  await test.trail.writer.append([event()], 'platform');
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-start-'));
});
afterAll(async () => {
  await test.close();
  await rm(folder, { recursive: true, force: true });
});

const damages = {
  'no master key': (keys: string) => rm(join(keys, 'master.key')),
  'another master key': (keys: string) => writeFile(join(keys, 'master.key'), randomBytes(32)),
  'a truncated master key': (keys: string) => truncate(join(keys, 'master.key'), 16),
  'an empty folder': (keys: string) => rm(keys, { recursive: true }),
  'no key of one instance': (keys: string) => rm(join(keys, test.instance), { recursive: true }),
} as const;

const damaged = async (name: keyof typeof damages): Promise<string> => {
  const keys = join(folder, name.replaceAll(' ', '-'));
  await cp(test.keysFolder, keys, { recursive: true });
  await damages[name](keys);
  return keys;
};

/** Starts it, and waits until it ends by itself. */
const start = (name: 'api' | 'worker', keys: string) => {
  const uri = new URL(inject('mongodbAdminUri'));
  const env = {
    PATH: process.env['PATH'],
    MONGODB_URI: `mongodb://${uri.host}/${uri.search}`,
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TRAILKEEPER_DATA_DIR: join(folder, 'data'),
    TRAILKEEPER_KEYS_DIR: keys,
    ...Object.fromEntries(processDuties[name].map((duty) => [passwordSetting(duty), testPasswords[duty]])),
  };
  return new Promise<{ code: unknown; stderr: string }>((done) => {
    execFile(program, [join(root, `stack/${name}.ts`)], { env, timeout: 60_000 }, (error, _out, stderr) =>
      done({ code: error?.code, stderr }),
    );
  });
};

describe('a process that starts', () => {
  it.each([
    ['api', 'no master key'],
    ['worker', 'another master key'],
  ] as const)('the %s with %s ends, says what to do, and makes no key', async (name, damage) => {
    const keys = await damaged(damage);
    const before = await readdir(keys, { recursive: true });
    const { code, stderr } = await start(name, keys);
    expect(code).toBe(1);
    expect(stderr).toContain('KEY_UNAVAILABLE');
    expect(stderr).toContain(test.instance);
    expect(stderr).toContain('keys restore');
    expect(await readdir(keys, { recursive: true })).toEqual(before);
  });
});

describe('the look at the keys', () => {
  const look = (keys: string) => requireKeys(test.database.clients.reader, new FileKeyProvider(keys));

  it.each(Object.keys(damages) as (keyof typeof damages)[])('finds %s', async (damage) => {
    const keys = await damaged(damage);
    const error = await look(keys).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(KeysMissing);
    expect((error as KeysMissing).problems.join()).toContain(test.instance);
  });

  it('finds the keys of another installation, whose instance has the same name', async () => {
    const keys = join(folder, 'elsewhere');
    await (await openFileKeyProvider(keys)).createEpoch(test.instance, 1);
    await expect(look(keys)).rejects.toThrow('those of another installation');
  });

  it('passes where all are there', () => expect(look(test.keysFolder)).resolves.toBeUndefined());

  it('destroys again what a restored folder brought back', async () => {
    const backup = join(folder, 'backup');
    await cp(test.keysFolder, backup, { recursive: true });
    const { keeper } = test.database.clients;
    const made = await makeNextEpoch(keeper, test.keys, test.instance);
    await cp(test.keysFolder, backup, { recursive: true });
    await keyringsOf(keeper).updateOne(
      { _id: test.instance, 'epochs.epoch': made.epoch },
      { $set: { 'epochs.$.state': 'destroying' } },
    );
    await destroyEpoch(keeper, test.keys, test.instance, made.epoch);
    await look(backup);
    expect(await readdir(join(backup, test.instance))).not.toContain(`epoch-${made.epoch}.key`);
    const again = new FileKeyProvider(backup);
    const reference = { instance: test.instance, epoch: made.epoch, keyId: made.keyId };
    await expect(again.unlock(reference)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });
});
