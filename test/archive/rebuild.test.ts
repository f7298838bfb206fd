import { readFile, writeFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { Document } from 'mongodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseVkey } from '../../domain/tree/note.ts';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { rebuildInstance, type RebuildInstanceOptions } from '../../store/rebuild-instance.ts';
import { checkpointName } from '../../trail/archive/names.ts';
import { seeAll } from '../../trail/reader.ts';
import { allSegments, segmentsOf } from '../../trail/segments.ts';
import { emitterOf } from '../trail/events.ts';
import { loseInstance } from './loss.ts';
import { openTestArchive, type TestArchive } from './open.ts';

describe('a rebuild from the archive', () => {
  let test: TestArchive;
  beforeEach(async () => {
    test = await openTestArchive();
  });
  afterEach(() => test.close());

  const fill = async (): Promise<void> => {
    const next = emitterOf('rebuilt');
    const subjects = [{ system: 'salesforce', kind: 'Contact', id: 'c-1' }];
    const parts = [{ name: 'after', content: { Phone: '1' }, subject: 0 }];
    await test.trail.writer.append(
      Array.from({ length: 600 }, (_, at) => next(at % 50 === 0 ? { subjects, parts } : {})),
      'platform',
    );
    await test.trail.writer.append(
      [
        next(),
        next({
          action: 'principal.register',
          control: { change: 'principal.register', principal: 'dana', kind: 'human', roles: ['auditor'] },
          system: 'trailkeeper',
        }),
      ],
      'platform',
    );
  };

  const options = (changes: Partial<RebuildInstanceOptions> = {}): RebuildInstanceOptions => ({
    store: test.store,
    instance: test.instance,
    admin: test.database.admin,
    trust: { kind: 'trusted', keys: [parseVkey(test.trail.vkey)] },
    kept: [],
    keys: test.keys,
    progress: () => undefined,
    ...changes,
  });

  const record = async (): Promise<Document[]> =>
    test.database.admin.db(instanceDatabase(test.instance)).collection('record').find().sort({ _id: 1 }).toArray();

  const lose = () => loseInstance(test.database.admin, test.instance, test.origin);

  it('gives every byte of the record back, the content with it, and closes the log', async () => {
    test.archiver();
    await fill();
    await test.archived(602);
    const before = await record();
    const payload = await test.trail.reader.withParts([(await test.trail.reader.at(50))!], seeAll);
    await lose();

    const stages: string[] = [];
    const rebuilt = await rebuildInstance(
      options({ progress: (stage, entries, of) => void stages.push(`${stage} ${entries}/${of}`) }),
    );
    expect(await record()).toEqual(before);
    expect(rebuilt).toMatchObject({ missing: { first: 602 }, closing: { checkpoint: { size: 602 } } });
    expect(stages.at(-1)).toBe('projections 602/602');

    const again = await test.another();
    expect(await again.reader.withParts([(await again.reader.at(50))!], seeAll)).toEqual(payload);
    expect(await again.reader.size()).toBe(602);
    expect((await again.reader.find({}, { limit: 1000 })).length).toBe(602);
    expect(
      await test.database.admin.db('tk_control').collection('principals').findOne({ instance: test.instance }),
    ).toMatchObject({ principal: 'dana', index: 601 });
    await expect(again.writer.append([emitterOf('late')()], 'platform')).rejects.toMatchObject({ code: 'LOG_CLOSED' });
    // A process that was open before the loss finds its log closed, too.
    await expect(test.trail.writer.append([emitterOf('stale')()], 'platform')).rejects.toMatchObject({
      code: 'LOG_CLOSED',
    });
  });

  it('goes on where it was interrupted, and a second one changes nothing', async () => {
    test.archiver();
    for (const size of [300, 600]) {
      const next = emitterOf(`part-${size}`);
      await test.trail.writer.append(
        Array.from({ length: 300 }, () => next()),
        'platform',
      );
      await test.archived(size);
    }
    const before = await record();
    await lose();
    const interrupt = new AbortController();
    await expect(
      rebuildInstance(options({ signal: interrupt.signal, progress: () => interrupt.abort() })),
    ).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' });
    const partial = await segmentsOf(test.database.admin, test.instance).find(allSegments).toArray();
    expect(partial.at(-1)!._id + partial.at(-1)!.n).toBe(300);
    await rebuildInstance(options());
    expect(await record()).toEqual(before);
    await rebuildInstance(options());
    expect(await record()).toEqual(before);
  });

  it('names the first bad object of an altered archive, and shows nothing of the instance', async () => {
    test.archiver();
    await fill();
    await test.archived(602);
    await lose();
    const object = 'tile/entries/001';
    const path = join(test.folder, object);
    const bytes = await readFile(path);
    bytes[1000]! ^= 1;
    await chmod(path, 0o644);
    await writeFile(path, bytes);
    await expect(rebuildInstance(options())).rejects.toMatchObject({ code: 'ARCHIVE_ALTERED', object });
    expect(
      await test.database.admin
        .db('tk_control')
        .collection<{ _id: string }>('instances')
        .findOne({ _id: test.instance }),
    ).toBeNull();
  });

  it('never writes over a record that is there', async () => {
    test.archiver();
    await fill();
    await test.archived(602);
    await expect(rebuildInstance(options())).rejects.toMatchObject({ code: 'REBUILD_REFUSED' });
    await expect(test.trail.writer.append([emitterOf('goes-on')()], 'platform')).resolves.toMatchObject([
      { status: 'accepted' },
    ]);
  });

  it('names what is younger than the archive, by a checkpoint that was kept or by anchors that survived', async () => {
    const tail = test.archiver();
    await fill();
    await test.archived(602);
    await tail.stop();
    const next = emitterOf('younger');
    await test.trail.writer.append([next(), next(), next()], 'platform');
    const kept = Buffer.from((await test.trail.reader.checkpoint())!.note);
    expect(await test.store.get(checkpointName(605))).toBeUndefined();
    await loseInstance(test.database.admin, test.instance, test.origin, { anchors: true });
    expect((await rebuildInstance(options())).missing).toEqual({ first: 602, size: 605 });
    await lose();
    expect((await rebuildInstance(options())).missing).toEqual({ first: 602 });
    await lose();
    expect((await rebuildInstance(options({ kept: [kept] }))).missing).toEqual({ first: 602, size: 605 });
  });
});
