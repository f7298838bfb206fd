/**
 * Faults between a witness and what we keep of it. A row: which write, how it fails, and whether it is there afterwards; and the
 * witness itself, ended before, during and after. After each, by the same process or by a new one in its place: the newest
 * checkpoint is served with the cosignature, the witness has exactly that size, every cosignature kept verifies, and
 * nobody was alarmed.
 */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cosignaturesOn, parseCosignerVkey } from '../../domain/tree/cosignature.ts';
import { addSignatureLines } from '../../domain/tree/note.ts';
import { controlDatabase } from '../../trail/database.ts';
import type { CosignatureDocument } from '../../trail/witness/cosignatures.ts';
import { isThere } from '../setup/programs.ts';
import { litewitness, startWitness, type Witness } from '../witness/litewitness.ts';
import { openWitnessedLog, type WitnessedTestLog } from '../witness/open.ts';

interface Row {
  readonly fault: string;
  readonly persisted: boolean;
  readonly collection: 'cosignatures' | 'leases';
  readonly command: 'insert' | 'findAndModify';
  readonly data: Document;
  readonly times: number;
}

const faults = [
  { fault: 'connection cut once', persisted: false, data: { closeConnection: true }, times: 1 },
  { fault: 'connection cut on the retry too', persisted: false, data: { closeConnection: true }, times: 2 },
  { fault: 'refused by a stepping-down primary', persisted: false, data: { errorCode: 11_602 }, times: 1 },
  {
    fault: 'written, but reported as not with a majority',
    persisted: true,
    data: { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
    times: 1,
  },
];
const rows: Row[] = faults.flatMap((fault): Row[] => [
  { ...fault, collection: 'cosignatures', command: 'insert' },
  { ...fault, collection: 'leases', command: 'findAndModify' },
]);

describe.skipIf(!isThere(litewitness))('a fault at a cosignature', () => {
  let log: WitnessedTestLog;
  let witness: Witness;

  beforeAll(async () => {
    log = await openWitnessedLog();
    witness = await startWitness('witness.example/faults');
    witness.add(log.origin, log.trail.vkey);
    await log.configure([witness], 1);
    await log.grow(3);
    await log.round();
  });
  afterAll(async () => {
    await witness?.close();
    await log?.close();
  });

  const cosignatures = () =>
    log.database.admin.db(controlDatabase).collection<CosignatureDocument>('cosignatures').find({ origin: log.origin });

  /** What a reader gets and the witness has, by size; how many cosignatures that are kept do not verify; and the alarms. */
  const state = async () => {
    const { size, cosignatures: lines } = (await log.trail.witnessed.served())!;
    const key = parseCosignerVkey(witness.vkey);
    const kept = await cosignatures().toArray();
    const bad = kept.filter(
      ({ note, line }) => cosignaturesOn(addSignatureLines(Buffer.from(note), [line]), [key]).length !== 1,
    );
    return { size, lines: lines.length, witness: witness.size(log.origin), bad: bad.length, alerts: log.alerts() };
  };
  const settled = (size: number) => ({ size, lines: 1, witness: size, bad: 0, alerts: [] });

  const cases = rows.flatMap((row) => [false, true].map((replaced) => ({ ...row, replaced })));
  it.each(cases)(
    '$collection: $fault (persisted: $persisted; goes on in a new process: $replaced)',
    async ({ collection, command, data, times, replaced }) => {
      const { admin } = log.database;
      const size = await log.grow(2);
      await admin.db('admin').command({
        configureFailPoint: 'failCommand',
        mode: { times },
        data: { failCommands: [command], namespace: `${controlDatabase}.${collection}`, ...data },
      });
      try {
        await log.round();
      } finally {
        await admin.db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' });
      }
      if (replaced) log.newProcess();
      await log.round();
      expect(await state()).toEqual(settled(size));
    },
  );

  it('a process that ends after the witness cosigned, and before that was kept, is followed by one that learns it', async () => {
    const size = await log.grow(2);
    await log.round();
    // As if the insert had never been sent: the witness is ahead of what is kept.
    await log.database.admin.db(controlDatabase).collection('cosignatures').deleteMany({ origin: log.origin, size });
    log.newProcess();
    await log.round();
    expect(await state()).toEqual(settled(size));
  });

  it('a witness that is killed goes on from where it was, with a proof over all that it missed', async () => {
    await witness.stop();
    await log.grow(2);
    await log.round();
    const size = await log.grow(2);
    await witness.start();
    log.newProcess();
    await log.round();
    expect(await state()).toEqual(settled(size));
  });
});
