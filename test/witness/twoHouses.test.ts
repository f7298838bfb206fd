/** Two witnesses of two houses, litewitness and omniwitness, both of whom must cosign. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cosignaturesOn, parseCosignerVkey } from '../../domain/tree/cosignature.ts';
import { controlDatabase, instanceDatabase } from '../../trail/database.ts';
import { isThere } from '../setup/programs.ts';
import { event } from '../trail/events.ts';
import { litewitness, startWitness, type Witness } from './litewitness.ts';
import { omniwitness, startOmniwitness } from './omniwitness.ts';
import { openWitnessedLog, type WitnessedTestLog } from './open.ts';

describe.skipIf(![litewitness, omniwitness].every(isThere))('witnesses of two houses', () => {
  let log: WitnessedTestLog;
  let lite: Witness;
  let omni: Awaited<ReturnType<typeof startOmniwitness>>;

  beforeAll(async () => {
    log = await openWitnessedLog();
    lite = await startWitness('witness.example/lite');
    lite.add(log.origin, log.trail.vkey);
    omni = await startOmniwitness('witness.example/omni', [{ origin: log.origin, vkey: log.trail.vkey }]);
    await log.configure([lite, omni], 2);
  });
  afterAll(async () => {
    await lite?.close();
    await omni?.close();
    await log?.close();
  });

  it('both cosign a log as it grows', async () => {
    for (const count of [3, 300, 1]) {
      const size = await log.grow(count);
      await log.round();
      const served = (await log.trail.witnessed.served())!;
      const keys = [lite, omni].map(({ vkey }) => parseCosignerVkey(vkey));
      expect([served.size, cosignaturesOn(Buffer.from(served.note), keys).length]).toEqual([size, 2]);
    }
    expect(log.events).toEqual([]);
  });

  it('both refuse it where it was rolled back together with all that we keep of them, and no writer goes on', async () => {
    const { admin } = log.database;
    const size = await log.trail.reader.size();
    const ofLog = { _id: { $gte: `${log.origin}#`, $lt: `${log.origin}$` } } as never;
    const control = admin.db(controlDatabase);
    const [first] = await control.collection('anchors').find(ofLog).sort({ _id: 1 }).limit(1).toArray();
    const kept = Number(first?.['size']);
    await control.collection('anchors').deleteMany({ ...(ofLog as object), size: { $gt: kept } });
    await control.collection('cosignatures').deleteMany(ofLog);
    await admin
      .db(instanceDatabase(log.instance))
      .collection('record')
      .deleteMany({ _id: { $gte: kept } } as never);
    log.newProcess();
    await log.round();
    const stated = { kind: 'contradiction', statement: 'ahead', witnessSize: size };
    expect(log.alerts()).toMatchObject([stated, stated]);
    const { writer } = await log.another();
    await expect(writer.append([event()], 'platform')).rejects.toMatchObject({ code: 'LOG_BEHIND_ANCHOR' });
  });
});
