/**
 * Faults of a rotation, in two tables. Of the epoch and signing keys: a worker dies, or its answer is lost, at each step,
 * before or after its effect. Of the master key: a process dies between any two writes of files. After each: the rotation
 * ends when it goes on, once; nothing is unreadable; nothing is under the old key; and processes that start meanwhile
 * have all keys.
 */
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyActivities } from '../../domain/keys/contract.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { createKeyActivities } from '../../activities/keys/createKeyActivities.ts';
import { TrailError, type TrailErrorCode } from '../../trail/errors.ts';
import { FileKeyProvider } from '../../trail/keys/file-provider.ts';
import type { EpochReference } from '../../trail/keys/provider.ts';
import { keyringsOf } from '../../trail/keys/keyring.ts';
import { countUnder } from '../../trail/keys/rewrap.ts';
import { openTestKeys, type TestKeys } from '../keys/open.ts';
import { forgetOtherKeyrings } from '../setup/database.ts';
import { event } from '../trail/events.ts';

type Step = keyof KeyActivities;

/** Fails its n-th execution, before its effect or after it. */
const failing = (activities: KeyActivities, step: Step, persisted: boolean, nth: number): Partial<KeyActivities> => {
  let executions = 0;
  const real = activities[step] as (input: never) => Promise<unknown>;
  return {
    [step]: async (input: never) => {
      executions += 1;
      if (executions !== nth) return real(input);
      if (persisted) await real(input);
      throw new TrailError('TRAIL_UNAVAILABLE', 'the worker died');
    },
  };
};

describe('a rotation whose step fails', () => {
  let test: TestKeys;
  beforeAll(async () => {
    test = await openTestKeys();
    await test.trail.writer.append([event({ parts: [{ name: 'after', content: 'kept' }] })], 'platform');
  });
  afterAll(() => test.close());
  const rotated = { epoch: 0, signing: 0 };

  const rows = (
    [
      ['epoch', 'makeKey', 1],
      ['epoch', 'changeKey', 1],
      ['epoch', 'moveToEpoch', 1],
      ['epoch', 'changeKey', 2],
      ['epoch', 'moveToEpoch', 3],
      ['epoch', 'recordKeyOutcome', 1],
      ['signing', 'makeKey', 1],
      ['signing', 'changeKey', 1],
      ['signing', 'changeKey', 2],
      ['signing', 'destroySeed', 1],
    ] as const
  ).flatMap(([key, step, nth]) => [false, true].map((persisted) => ({ key, step, nth, persisted })));

  it.each(rows)('$key key, $step (execution $nth, persisted: $persisted): ends all the same, once', async (row) => {
    const { key, step, nth, persisted } = row;
    const before = (await test.keyEntries()).length;
    const workers = await test.work(failing(test.activities, step, persisted, nth));
    const result = await test.rotate(key);
    await workers.stop();
    rotated[key] += 1;
    expect(result).toMatchObject({ from: `${key}/${rotated[key]}`, to: `${key}/${rotated[key] + 1}` });
    const entries = (await test.keyEntries()).slice(before);
    expect(entries.map(({ entry }) => entry.action)).toEqual(['key.rotate', 'key.retire', 'key.outcome']);
    expect(await countUnder(test.database.admin, test.instance, key === 'epoch' ? rotated.epoch : 0)).toBe(
      key === 'epoch' ? 0 : rotated.signing,
    );
    // A process that begins anew appends, and reads what was written first of all.
    const anew = await test.another();
    expect((await anew.writer.append([event()], 'platform'))[0]!.status).toBe('accepted');
    const [seen] = await anew.reader.withParts([(await anew.reader.at(0))!], () => true);
    expect(seen!.parts!['after']).toEqual({ state: 'present', content: 'kept' });
  });
});

describe('a rotation of the master key that is cut off', () => {
  const acme = 'acme' as InstanceId;
  let folder: string;
  let references: EpochReference[];
  const bytesOf = new Map<string, Buffer>();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trailkeeper-master-'));
    const provider = new FileKeyProvider(join(folder, 'before'));
    references = [await provider.createEpoch(acme, 1), await provider.createEpoch(acme, 2)];
    references.push(await provider.createEpoch('globex' as InstanceId, 1));
    for (const reference of references) bytesOf.set(reference.keyId, (await provider.unlock(reference)).export());
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** The folder as a crash leaves it: so many files under the new master key, the new one in its place or not. */
  const cutOff = async (name: string, resealed: number, renamed: boolean): Promise<string> => {
    const whole = join(folder, `${name}-whole`);
    const cut = join(folder, name);
    await cp(join(folder, 'before'), cut, { recursive: true });
    await new FileKeyProvider(cut).master.prepare([]);
    await cp(cut, whole, { recursive: true });
    await new FileKeyProvider(whole).master.complete([]);
    for (const { instance, epoch } of references.slice(0, resealed))
      await writeFile(
        join(cut, instance, `epoch-${epoch}.key`),
        await readFile(join(whole, instance, `epoch-${epoch}.key`)),
      );
    if (renamed) await rename(join(cut, 'master.next.key'), join(cut, 'master.key'));
    return cut;
  };

  const expectAll = async (keys: string) => {
    const anew = new FileKeyProvider(keys);
    for (const reference of references)
      expect((await anew.unlock(reference)).export()).toEqual(bytesOf.get(reference.keyId));
  };

  it.each([
    ['after the new one was made', 0, false],
    ['after the first file', 1, false],
    ['after the second file', 2, false],
    ['before the new one takes its place', 3, false],
    ['after the new one took its place', 3, true],
  ] as const)('%s: every process has all keys, and it goes on', async (name, resealed, renamed) => {
    const keys = await cutOff(name.replaceAll(' ', '-'), resealed, renamed);
    await expectAll(keys);
    const old = await readFile(join(folder, 'before', 'master.key'));
    const provider = new FileKeyProvider(keys);
    await provider.master.complete([]);
    await expectAll(keys);
    expect(await readFile(join(keys, 'master.key'))).not.toEqual(old);
  });

  it('two at once end with one master key', async () => {
    const keys = join(folder, 'twice');
    await cp(join(folder, 'before'), keys, { recursive: true });
    const [one, two] = [new FileKeyProvider(keys), new FileKeyProvider(keys)];
    const prepared = await Promise.all([one.master.prepare([]), two.master.prepare([])]);
    expect(prepared[0]).toEqual(prepared[1]);
    await Promise.all([one.master.complete([]), two.master.complete([])]);
    await expectAll(keys);
    expect((await one.master.prepare([])).from).toBe(prepared[0].to);
  });

  it('keys that are made and destroyed meanwhile are there, and are not', async () => {
    const keys = join(folder, 'meanwhile');
    await cp(join(folder, 'before'), keys, { recursive: true });
    const provider = new FileKeyProvider(keys);
    await provider.master.prepare([]);
    const made = await new FileKeyProvider(keys).createEpoch(acme, 3);
    await new FileKeyProvider(keys).destroy(references[0]!);
    await provider.master.complete([]);
    expect((await new FileKeyProvider(keys).unlock(made)).export()).toHaveLength(32);
    await expect(new FileKeyProvider(keys).unlock(references[0]!)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });
});

describe('a rotation of the master key', () => {
  let test: TestKeys;
  beforeAll(async () => {
    test = await openTestKeys();
    await forgetOtherKeyrings(test.database.admin, [test.instance]);
    await test.work();
  });
  afterAll(() => test.close());

  it("is recorded in the instance's log before it takes effect, and nothing stops meanwhile", async () => {
    await test.trail.writer.append([event()], 'platform');
    const { from, to } = await test.rotateMaster();
    expect(to).not.toBe(from);
    const entries = await test.keyEntries();
    expect(entries.map(({ entry }) => entry.control ?? entry.action)).toEqual([
      { change: 'key.rotate', key: 'master', from, to },
      'key.outcome',
    ]);
    const anew = await test.another();
    expect((await anew.writer.append([event()], 'platform'))[0]).toMatchObject({ status: 'accepted' });
  });

  it.each(['LOG_CLOSED', 'LOG_FORKED', 'NOT_FOUND'] as const)(
    'passes over a log that answers %s for good, says so, and waits for one that does not answer now',
    async (code) => {
      const other = `zzz-${test.instance}` as InstanceId;
      const rings = keyringsOf(test.database.admin);
      await rings.insertOne({ _id: other, current: 1, generation: 1, epochs: [] } as never);
      const answers: TrailErrorCode[] = ['TRAIL_UNAVAILABLE', code];
      const activities = createKeyActivities({
        open: (instance) =>
          instance === other
            ? Promise.reject(new TrailError(answers.shift() ?? code, 'not now'))
            : Promise.resolve({ trail: test.trail, control: test.state }),
        provider: test.keys,
        keeper: test.database.clients.keeper,
      });
      try {
        const input = { rotation: randomUUID(), from: 'master/a', to: 'master/b', nowMs: Date.now() };
        const record = () => new MockActivityEnvironment().run(() => activities.recordMaster(input));
        await expect(record()).rejects.toMatchObject({ code: 'TRAIL_UNAVAILABLE' });
        expect(await record()).toEqual({ instances: 1, passedOver: `${code} 1` });
      } finally {
        await rings.deleteOne({ _id: other });
      }
    },
  );
});
