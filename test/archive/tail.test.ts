import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseVkey } from '../../domain/tree/note.ts';
import { bundlesForSize, tilePath, tilesForSize } from '../../domain/tree/tiles.ts';
import { loadHead } from '../../trail/archive/head.ts';
import { checkpointName } from '../../trail/archive/names.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestArchive, type TestArchive } from './open.ts';

describe('the archive of a log', () => {
  let test: TestArchive;
  beforeAll(async () => {
    test = await openTestArchive();
  });
  afterAll(() => test.close());

  it('holds every checkpoint that it took with all that belongs to it', async () => {
    const next = emitterOf('archived');
    test.archiver();
    await test.trail.writer.append(
      Array.from({ length: 700 }, () => next()),
      'platform',
    );
    await test.archived(700);
    await test.trail.writer.append([next(), next()], 'platform');
    await test.archived(702);
    expect(await test.store.get(checkpointName(702))).toEqual(
      Buffer.from((await test.trail.reader.checkpoint())!.note),
    );
    for (const size of [700, 702]) {
      for (const tile of tilesForSize(size))
        expect([tilePath(tile), await test.store.get(tilePath(tile))]).toEqual([
          tilePath(tile),
          await test.trail.reader.tiles.hashes(tile.level, tile.index, tile.width),
        ]);
      for (const tile of bundlesForSize(size))
        expect(await test.store.get(tilePath(tile))).toEqual(
          await test.trail.reader.tiles.bundle(tile.index, tile.width),
        );
    }
    const head = await loadHead(test.store, 702, { kind: 'trusted', keys: [parseVkey(test.trail.vkey)] });
    expect(head.log.size).toBe(702);
    expect((await readdir(test.folder)).toSorted()).toEqual([
      'checkpoint',
      'checkpoints',
      'payload',
      'ranges',
      'rows',
      'segments',
      'tile',
    ]);
    expect(test.failures).toEqual([]);
  });
});
