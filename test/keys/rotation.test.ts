import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Document } from 'mongodb';
import { parseNote, parseVkey, openNote } from '../../domain/tree/note.ts';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { signingVersions } from '../../domain/signing-schedule.ts';
import type { RotationResult } from '../../domain/keys/contract.ts';
import { openIdentities } from '../../store/identities.ts';
import { controlDatabase } from '../../trail/database.ts';
import { outOfUseAfterMs } from '../../trail/keys/destruction.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { Keyring, keyringsOf, type EpochState } from '../../trail/keys/keyring.ts';
import { countUnder } from '../../trail/keys/rewrap.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { makeSigningKey, SigningKeys } from '../../trail/keys/signing.ts';
import { joinParts, PartReader } from '../../trail/parts.ts';
import { Subjects } from '../../trail/subjects.ts';
import { event } from '../trail/events.ts';
import { openTestTrail } from '../trail/open.ts';
import { openTestKeys, type TestKeys } from './open.ts';

const contact = (id: string) => ({ system: 'salesforce' as const, kind: 'Contact', id });

const about = (id: string, text: string) =>
  event({ subjects: [contact(id)], parts: [{ name: 'after', content: text, subject: 0 }] });

/** Content of the part `after` of the entry at an index, opened by a process with nothing in memory. */
const readFresh = async (test: TestKeys, index: number): Promise<string | undefined> => {
  const { reader } = test.database.clients;
  const secrets = new Secrets(test.instance, await openFileKeyProvider(test.keysFolder), reader);
  const placed = (await test.trail.reader.at(index))!;
  const opened = await new PartReader(test.instance, secrets, reader).open([placed]);
  return joinParts(placed.entry, opened).get('after')?.toString();
};

const append = async (test: TestKeys, ...events: ReturnType<typeof event>[]): Promise<number[]> =>
  (await test.trail.writer.append(events, 'platform')).map((result) => {
    if (result.status !== 'accepted') throw new Error(JSON.stringify(result));
    return result.receipt.index;
  });

describe('a rotation of the epoch', () => {
  let test: TestKeys;
  let before: number;
  let rotated: RotationResult;
  const backup: Document[] = [];
  const collectionOf = (name: string) =>
    test.database.admin.db(controlDatabase).collection<{ _id: string; instance: string }>(name);

  beforeAll(async () => {
    test = await openTestKeys();
    await test.work();
    await test.change({ change: 'principal.register', principal: 'dana', kind: 'human', roles: [] });
    await test.change(
      { change: 'identity.map', system: 'slack', kind: 'user', principal: 'dana' },
      { name: 'identity', content: { id: 'U1' } },
    );
    [before] = (await append(test, about('c-1', 'before'))) as [number];
    backup.push(...(await collectionOf('keys').find({ instance: test.instance }).toArray()));
    // Another process goes on writing and reading while it runs.
    const other = await test.another();
    const writing = (async () => {
      for (let n = 0; n < 20; n += 1)
        await other.writer.append([about('c-1', `during ${n}`), about(`new-${n}`, 'x')], 'platform');
    })();
    rotated = await test.rotate('epoch');
    await writing;
  });
  afterAll(() => test.close());

  it('is recorded: what took the place of what, and that nothing is under the old key any more', async () => {
    expect(rotated).toMatchObject({ from: 'epoch/1', to: 'epoch/2' });
    const entries = await test.keyEntries();
    expect(entries.map(({ entry }) => entry.control ?? entry.action)).toEqual([
      { change: 'key.rotate', key: 'epoch', from: 'epoch/1', to: 'epoch/2' },
      { change: 'key.retire', key: 'epoch', id: 'epoch/1' },
      'key.outcome',
    ]);
    expect(entries[0]!.entry.actor.principal).toBe('ines');
    expect(entries[2]!.parts!['key']).toMatchObject({ content: { key: 'epoch/1', to: 'epoch/2' } });
    expect(await countUnder(test.database.admin, test.instance, 1)).toBe(0);
  });

  it('leaves what was encrypted before readable, in a process that begins anew', async () => {
    expect(await readFresh(test, before)).toBe('"before"');
  });

  it('keeps people who they were: by original id, and by identity', async () => {
    const { keeper, reader, appender } = test.database.clients;
    const again = new Secrets(test.instance, test.keys, appender);
    const [subject] = await new Subjects(test.instance, again, appender).ensure([contact('c-1')]);
    expect(subject).toBe((await test.trail.reader.at(before))!.entry.subjects![0]);
    const identities = openIdentities(reader, test.instance, new Secrets(test.instance, test.keys, reader));
    expect(await identities.principalOf({ system: 'slack', kind: 'user', id: 'U1' })).toBe('dana');
    const rows = keeper.db(controlDatabase);
    for (const name of ['subjects', 'identities'])
      expect([name, await rows.collection(name).countDocuments({ instance: test.instance, lookup: 1 })]).toEqual([
        name,
        0,
      ]);
    // Everybody once: nobody got a second row or a second id.
    const ids = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, n) => (await new Subjects(test.instance, again, appender).find([contact(`new-${n}`)]))[0],
      ),
    );
    expect(new Set(ids).size).toBe(20);
    expect(ids).not.toContain(undefined);
  });

  it('keeps the old key while a secret is under it: one that does not open, or one that came after the entry', async () => {
    const stray = { ...backup[0]!, _id: `${test.instance}/misplaced/1`, instance: test.instance };
    await collectionOf('keys').insertOne(stray);
    const recorded = (await test.keyEntries()).length;
    await expect(test.destroyEpoch(1)).rejects.toMatchObject({ cause: { type: 'KEYS_UNREADABLE' } });
    expect((await test.keyEntries()).slice(recorded)).toEqual([]);

    const keyring = { _id: test.instance };
    const setState = (state: EpochState) =>
      keyringsOf(test.database.admin).updateOne(keyring, {
        $set: { 'epochs.0.state': state },
        $inc: { generation: 1 },
      });
    await setState('destroying');
    const destroying = test.activities.destroyEpoch({ instance: test.instance, epoch: 1 });
    await expect(destroying).rejects.toMatchObject({ code: 'TRAIL_UNAVAILABLE' });
    await setState('closed');
    await collectionOf('keys').deleteOne({ _id: stray._id });
    expect(await readdir(join(test.keysFolder, test.instance))).toContain('epoch-1.key');
  });

  it('lets the old key be destroyed: what was wrapped under it alone is unreadable everywhere, the rest is not', async () => {
    const destroyed = await test.destroyEpoch(1);
    expect(destroyed).toMatchObject({ state: 'destroyed', keyId: `file:${test.instance}/epoch-1` });
    expect((await test.keyEntries()).slice(3).map(({ entry }) => entry.action)).toEqual(['key.destroy', 'key.outcome']);
    expect(await readFresh(test, before)).toBe('"before"');
    // MongoDB is restored from a backup of before the rotation: its wrapped secrets are worth nothing.
    const keys = collectionOf('keys');
    const kept = await keys.find({ instance: test.instance }).toArray();
    const restored = backup.filter(({ _id }) => String(_id).includes('/subject-class/'));
    for (const document of restored) await keys.replaceOne({ _id: document['_id'] as string }, document as never);
    expect(await readFresh(test, before)).toBeUndefined();
    for (const { _id, ...document } of kept) await keys.replaceOne({ _id }, document);
    expect(await readFresh(test, before)).toBe('"before"');
  });

  it('a second one works like the first', async () => {
    await test.rotate('epoch');
    expect(await readFresh(test, before)).toBe('"before"');
    expect(await countUnder(test.database.admin, test.instance, 2)).toBe(0);
  });
});

describe('a rotation of the signing key', () => {
  let test: TestKeys;
  beforeAll(async () => {
    test = await openTestKeys();
    await test.work();
  });
  afterAll(() => test.close());

  const signedBy = (note: string): number => parseNote(Buffer.from(note)).signatures.length;
  const checkpointOf = async (index: number) => (await test.trail.reader.checkpointCovering(index + 1))!;

  it('signs by both keys from its entry on, and by the new one alone from the retirement on', async () => {
    const oldVkey = test.trail.vkey;
    // A process that opened the log before, and hears of nothing but the log.
    const other = await test.another();
    const [first] = await append(test, event());
    const early = (await checkpointOf(first!)).note;
    const { rotated, retired, to } = await test.rotate('signing', 500);
    expect(to).toBe('signing/2');
    const [result] = await other.writer.append([event()], 'platform');
    if (result?.status !== 'accepted') throw new Error('not accepted');
    const newVkey = (await test.trail.signing.keys()).find(({ version }) => version === 2)!.vkey;
    expect(newVkey).not.toBe(oldVkey);

    expect(signedBy(early)).toBe(1);
    const during = (await checkpointOf(rotated)).note;
    expect(signedBy(during)).toBe(2);
    for (const vkey of [oldVkey, newVkey])
      expect(openNote(Buffer.from(during), [parseVkey(vkey)]).verified).toHaveLength(1);
    const late = (await checkpointOf(result.receipt.index)).note;
    expect(result.receipt.index).toBeGreaterThan(retired);
    expect(openNote(Buffer.from(late), [parseVkey(newVkey)]).unknown).toEqual([]);
    expect(() => openNote(Buffer.from(late), [parseVkey(oldVkey)])).toThrow('no signature by a known key');
    // What was signed before verifies as it did.
    expect(openNote(Buffer.from(early), [parseVkey(oldVkey)]).verified).toHaveLength(1);
    await expect(test.trail.signing.open(Buffer.from(early))).resolves.toMatchObject({ versions: [1] });
  });

  it('names both keys, and which checkpoints each may have signed', async () => {
    const [rotate, retire] = await test.keyEntries();
    await test.trail.signing.refresh();
    const keys = await test.trail.signing.keys();
    expect(rotate!.entry.control).toMatchObject({ vkey: keys[1]!.vkey });
    expect(keys).toMatchObject([
      { version: 1, from: -1, until: retire!.index },
      { version: 2, from: rotate!.index, until: undefined },
    ]);
  });

  it('leaves no seed of the retired key, and takes no signature of it on a newer checkpoint', async () => {
    const seed = await test.database.admin
      .db(controlDatabase)
      .collection<{ _id: string }>('signingKeys')
      .findOne({ _id: `${test.instance}/signing/1` });
    expect(seed).not.toHaveProperty('wrapped');
    await expect((await test.another()).signing.signer(1)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('is taken up by a writer that begins anew', async () => {
    const anew = await test.another();
    const [result] = await anew.writer.append([event()], 'platform');
    expect(result).toMatchObject({ status: 'accepted' });
    expect(anew.vkey).toBe((await test.trail.signing.keys())[1]!.vkey);
  });
});

describe('a checkpoint by two keys', () => {
  it('is known as signed by both to a process that read the list of keys before the second was made', async () => {
    const test = await openTestTrail();
    try {
      const { instance, origin, database } = test;
      const keyring = new Keyring(instance, test.keys, database.clients.appender);
      const [held, signing] = await Promise.all([
        SigningKeys.open({ instance, origin, keyring }, database.clients.appender),
        SigningKeys.open({ instance, origin, keyring }, database.clients.appender),
      ]);
      await held.keys();
      const keeping = new Keyring(instance, test.keys, database.clients.keeper);
      await makeSigningKey(database.clients.keeper, keeping, { instance, origin, version: 2 });
      await signing.refresh();
      const signers = [await signing.signer(1), await signing.signer(2)];
      const note = signCheckpoint({ origin, size: 7, root: Buffer.alloc(32) }, signers);
      await expect(held.open(note)).resolves.toMatchObject({ versions: [1, 2] });
    } finally {
      await test.close();
    }
  });
});

describe('which keys sign a checkpoint', () => {
  const added = (index: number, version: number) => ({ index, step: 'add' as const, version, vkey: `v${version}` });
  const removed = (index: number, version: number) => ({ index, step: 'remove' as const, version });
  const steps = [added(10, 2), removed(20, 1)];

  it.each([
    [10, [1]],
    [11, [1, 2]],
    [20, [1, 2]],
    [21, [2]],
  ])('of %i entries is said by the entries before', (size, versions) => {
    expect(signingVersions([{ size: 0, versions: [1] }], steps, size)).toEqual(versions);
    expect(signingVersions([{ size: 0, versions: [1] }], steps.toReversed(), size)).toEqual(versions);
  });

  it('goes on from a checkpoint that was seen', () => {
    expect(signingVersions([{ size: 15, versions: [1, 2] }], steps, 30)).toEqual([2]);
    expect(signingVersions([{ size: 25, versions: [2] }], steps, 30)).toEqual([2]);
  });

  it('is never none', () => {
    expect(signingVersions([{ size: 0, versions: [1] }], [removed(3, 1)], 9)).toEqual([1]);
  });
});

it('says how long a destroyed key may still be in use', () => expect(outOfUseAfterMs).toBeLessThanOrEqual(10_000));
