/**
 * A log that MongoDB's root restored to an older state and regrew with the same key verifies by itself. What the witness keeps is
 * out of reach: it refuses, and so do our own writers.
 */
import type { Document, MongoClient } from 'mongodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint, signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { consistencyProof, verifyConsistency } from '../../domain/tree/proof.ts';
import { controlDatabase, instanceDatabase } from '../../trail/database.ts';
import { mongoAnchor } from '../../trail/anchor.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { SigningKeys } from '../../trail/keys/signing.ts';
import { event } from '../trail/events.ts';
import { isThere } from '../setup/programs.ts';
import { litewitness, startWitness, type Witness } from './litewitness.ts';
import { logKeyOf, openWitnessedLog, type WitnessedTestLog } from './open.ts';

/** What root can copy and put back: the record, and every trace of checkpoints in the control database. */
interface Backup {
  readonly instance: Map<string, Document[]>;
  readonly control: Map<string, Document[]>;
}

const ofLog = (origin: string) => ({ _id: { $gte: `${origin}#`, $lt: `${origin}$` } });

const collectionsIn = async (admin: MongoClient, database: string): Promise<string[]> =>
  (await admin.db(database).listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);

const backUp = async ({ database, instance, origin }: WitnessedTestLog, control: string[]): Promise<Backup> => {
  const { admin } = database;
  const name = instanceDatabase(instance);
  const own = new Map<string, Document[]>();
  for (const collection of await collectionsIn(admin, name))
    own.set(collection, await admin.db(name).collection(collection).find().toArray());
  const kept = new Map<string, Document[]>();
  for (const collection of control)
    kept.set(
      collection,
      await admin
        .db(controlDatabase)
        .collection(collection)
        .find(ofLog(origin) as never)
        .toArray(),
    );
  return { instance: own, control: kept };
};

const restore = async ({ database, instance, origin }: WitnessedTestLog, backup: Backup): Promise<void> => {
  const { admin } = database;
  const put = async (db: string, name: string, filter: Document, documents: Document[]) => {
    const collection = admin.db(db).collection(name);
    await collection.deleteMany(filter);
    if (documents.length > 0)
      await collection.insertMany(documents, { writeConcern: { w: 'majority', journal: true } });
  };
  for (const [name, documents] of backup.instance) await put(instanceDatabase(instance), name, {}, documents);
  for (const [name, documents] of backup.control) await put(controlDatabase, name, ofLog(origin), documents);
};

const everything = ['anchors', 'cosignatures', 'witnessStatements'];

describe.skipIf(!isThere(litewitness))('a log that was rolled back', () => {
  let log: WitnessedTestLog;
  let witness: Witness;

  beforeEach(async () => {
    log = await openWitnessedLog();
    witness = await startWitness('witness.example/rollback');
    witness.add(log.origin, log.trail.vkey);
    await log.configure([witness], 1);
  });
  afterEach(async () => {
    await witness?.close();
    await log?.close();
  });

  const appendTo = async (writerOf: WitnessedTestLog) => {
    const { writer } = await writerOf.another();
    return writer.append([event()], 'platform');
  };

  it('is refused by our own writer, though record and anchor agree, by what witnesses cosigned', async () => {
    await log.grow(5);
    const backup = await backUp(log, ['anchors']);
    await log.grow(7);
    await log.round();
    expect(log.events).toEqual([]);
    await restore(log, backup);
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_BEHIND_ANCHOR' });
  });

  it('and regrown is refused by our own writer as another history', async () => {
    await log.grow(5);
    const backup = await backUp(log, ['anchors', 'cosignatures']);
    await log.grow(7);
    await log.round();
    const cosigned = (await backUp(log, ['cosignatures'])).control;
    await restore(log, backup);
    const regrower = await log.another();
    for (let i = 0; i < 20; i += 1) await regrower.writer.append([event()], 'platform');
    // Whoever rolled it back could not reach what was copied away: it is put back.
    await restore(log, { instance: new Map(), control: cosigned });
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_FORKED' });
  });

  it('together with all that we keep of witnesses is found by asking the witness, which has more', async () => {
    await log.grow(5);
    const backup = await backUp(log, everything);
    const size = await log.grow(7);
    await log.round();
    expect(witness.size(log.origin)).toBe(size);
    await restore(log, backup);
    log.newProcess();
    // Nothing in our own installation speaks against it.
    await log.round();
    expect(log.alerts()).toMatchObject([{ kind: 'contradiction', statement: 'ahead', witnessSize: size }]);
    expect(log.events).toContainEqual({ kind: 'halted', instance: log.instance, code: 'LOG_BEHIND_ANCHOR' });
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_BEHIND_ANCHOR' });
    expect(await log.trail.witnessed.state()).toMatchObject({
      witnesses: [{ contradiction: { kind: 'ahead', size } }],
    });
  });

  it('and regrown beyond what the witness has is refused by the witness (422), and from then on by our writers', async () => {
    await log.grow(5);
    const backup = await backUp(log, everything);
    const size = await log.grow(7);
    await log.round();
    await restore(log, backup);
    const regrower = await log.another();
    for (let i = 0; i < 12; i += 1) await regrower.writer.append([event()], 'platform');
    expect(await log.trail.reader.size()).toBeGreaterThan(size);
    log.newProcess();
    await log.round();
    expect(log.alerts()).toMatchObject([{ kind: 'contradiction', statement: 'inconsistent', witnessSize: size }]);
    expect(witness.size(log.origin)).toBe(size);
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_FORKED' });
    // It is told once, and the log gets no entry of it: it would stand where the lost ones belong.
    const before = await log.trail.reader.size();
    log.advance(600_000);
    await log.round();
    expect(log.alerts()).toHaveLength(1);
    expect(await log.trail.reader.size()).toBe(before);
  });

  it('goes on, with a record of what happened, once the lost entries are back', async () => {
    await log.grow(5);
    const older = await backUp(log, everything);
    await log.grow(7);
    const newer = await backUp(log, everything);
    await log.round();
    await restore(log, older);
    log.newProcess();
    await log.round();
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_BEHIND_ANCHOR' });
    await restore(log, { ...newer, control: new Map([['anchors', newer.control.get('anchors')!]]) });
    log.newProcess();
    await log.round();
    expect(log.alerts().at(-1)).toMatchObject({ kind: 'contradiction', statement: 'agrees' });
    await expect(appendTo(log)).resolves.toMatchObject([{ status: 'accepted' }]);
    await log.trail.reader.fresh(10_000);
    const [entry] = await log.trail.reader.findLatest({ action: 'witness.contradict' }, 1);
    expect(entry?.entry.outcome).toBe('success');
  });

  it('replaced as a whole by one that hangs together and is signed by the right key is refused by both', async () => {
    await log.grow(20);
    await log.round();
    const kept = Buffer.from((await log.trail.reader.checkpoint())!.note);
    // Root wrote the log anew from its beginning: record, projections and anchors agree, and so does the signature.
    const { admin } = log.database;
    const cosigned = await backUp(log, ['cosignatures']);
    await restore(log, {
      instance: new Map((await collectionsIn(admin, instanceDatabase(log.instance))).map((name) => [name, []])),
      control: new Map(everything.map((name) => [name, []])),
    });
    const forger = await log.another();
    for (let i = 0; i < 30; i += 1) await forger.writer.append([event()], 'platform');
    const forged = openCheckpoint(Buffer.from((await forger.reader.checkpoint())!.note), [logKeyOf(log)], log.origin);
    // Whoever kept a checkpoint sees it without anybody's help.
    const old = openCheckpoint(kept, [logKeyOf(log)], log.origin);
    const proof = await consistencyProof(old.size, forged.size, forger.reader.tiles.subtrees());
    const claim = { oldSize: old.size, oldRoot: old.root, newSize: forged.size, newRoot: forged.root, proof };
    expect(verifyConsistency(claim)).toBe(false);
    log.newProcess();
    await log.round();
    expect(log.alerts()).toMatchObject([{ kind: 'contradiction', statement: 'inconsistent', witnessSize: old.size }]);
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_FORKED' });
    // And by what the witness signed, if root forgot to remove that, or a copy of it is put back.
    await restore(log, { instance: new Map(), control: new Map([...cosigned.control, ['witnessStatements', []]]) });
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_FORKED' });
  });

  it('with the signing key stolen, a fork is refused by the witness and shown by an old checkpoint', async () => {
    await log.grow(20);
    await log.round();
    const old = openCheckpoint(Buffer.from((await log.trail.reader.checkpoint())!.note), [logKeyOf(log)], log.origin);
    // The thief's history: the same key, the same size and more, other entries.
    const thief = await openWitnessedLog();
    await thief.grow(31);
    const { appender } = log.database.clients;
    const { keyring } = new Secrets(log.instance, log.keys, appender);
    const keys = await SigningKeys.open({ instance: log.instance, origin: log.origin, keyring }, appender);
    const signer = await keys.signer(keys.first.version);
    const forged = await thief.trail.reader.openedCheckpoint();
    const note = signCheckpoint({ origin: log.origin, size: forged!.size, root: forged!.root }, [signer]);
    const opened = openCheckpoint(note, [logKeyOf(log)], log.origin);
    expect(opened.size).toBeGreaterThan(old.size);
    const proof = await consistencyProof(old.size, opened.size, thief.trail.reader.tiles.subtrees());
    const claim = { oldSize: old.size, oldRoot: old.root, newSize: opened.size, newRoot: opened.root, proof };
    expect(verifyConsistency(claim)).toBe(false);
    const body = Buffer.concat([
      Buffer.from([`old ${old.size}`, ...proof.map((hash) => hash.toString('base64'))].join('\n')),
      Buffer.from('\n\n'),
      note,
    ]);
    const refused = await fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body });
    expect(refused.status).toBe(422);
    // Put into the anchor as if it were ours, it stops the log: the record does not hold it.
    await mongoAnchor(log.database.clients.anchor).put(log.origin, {
      size: opened.size,
      note: note.toString(),
      segment: old.size,
    });
    await expect(appendTo(log)).rejects.toMatchObject({ code: 'LOG_BEHIND_ANCHOR' });
    await thief.close();
  });
});
