/** What keeps a checkpoint from being anchored, for a while or for good. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emptyHead } from '../../trail/log-end.ts';
import { compositeAnchor, mongoAnchor } from '../../trail/anchor.ts';
import { Anchoring } from '../../trail/anchoring.ts';
import { closeLog } from '../../trail/closing.ts';
import { TrailError } from '../../trail/errors.ts';
import { SigningSchedule } from '../../trail/keys/signing-schedule.ts';
import { openTestTrail, type TestTrail } from './open.ts';

let test: TestTrail;
beforeEach(async () => {
  test = await openTestTrail();
});
afterEach(() => test.close());

describe('a checkpoint', () => {
  const head = { ...emptyHead, size: 1, lastSegment: 0 };

  it('is anchored once witnesses take back that they know another history', async () => {
    let stated: TrailError | undefined = new TrailError('LOG_FORKED', 'witnesses know another history');
    const anchor = compositeAnchor(mongoAnchor(test.database.clients.anchor), [], async () => stated);
    const anchoring = new Anchoring(anchor, new SigningSchedule(test.trail.signing));
    anchoring.committed(head);
    await expect(anchoring.covering(1)).rejects.toMatchObject({ code: 'LOG_FORKED' });
    stated = undefined;
    await expect(anchoring.covering(1)).resolves.toContain(test.origin);
  });

  it('is never anchored where another one of its size is', async () => {
    const anchor = mongoAnchor(test.database.clients.anchor);
    await anchor.put(test.origin, { size: 1, note: 'another', segment: 0 });
    const anchoring = new Anchoring(anchor, new SigningSchedule(test.trail.signing));
    anchoring.committed(head);
    for (let i = 0; i < 2; i += 1) await expect(anchoring.covering(1)).rejects.toMatchObject({ code: 'LOG_FORKED' });
  });

  it('of a closed log is given out no more, also where it is anchored already', async () => {
    const { anchor: client } = test.database.clients;
    const anchor = mongoAnchor(client);
    const checkpoint = { size: 1, note: 'a checkpoint', segment: 0 };
    await anchor.put(test.origin, checkpoint);
    const { instance, origin, trail } = test;
    await closeLog(client, { origin, instance, vkey: trail.vkey, checkpoint });
    await expect(anchor.put(origin, checkpoint)).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  });
});
