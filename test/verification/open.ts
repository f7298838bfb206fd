/** A log with an index, tiles and emitters, and a MongoDB root who may do anything to it. */
import type { Collection, Document } from 'mongodb';
import { parseVkey } from '../../domain/tree/note.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { emptyStanding } from '../../domain/verification/segment.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { controlDatabase, instanceDatabase } from '../../trail/database.ts';
import { PartReader } from '../../trail/parts.ts';
import type { TailRunner } from '../../trail/tails/runner.ts';
import { walkEmitters } from '../../trail/verification/emitters-check.ts';
import { findOutside } from '../../trail/verification/outside-log.ts';
import { walkRecord } from '../../trail/verification/record-walk.ts';
import { anchoredSize } from '../../trail/verification/signed-roots.ts';
import { walkTiles } from '../../trail/verification/tiles-check.ts';
import type { VerifiedLog } from '../../trail/verification/verified-log.ts';
import { event } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

export interface TestLog extends TestTrail {
  readonly log: VerifiedLog;
  readonly tail: TailRunner;
  /** Collections as MongoDB's root sees them: of the instance, and of the control database. */
  as(name: 'record' | 'events' | 'tiles' | 'emitters' | 'tails'): Collection<Document>;
  readonly anchors: Collection<Document>;
  /** Appends batches of so many events, one segment each, and waits for index and tiles. */
  appendBatches(batches: readonly number[], changes?: (index: number) => Record<string, unknown>): Promise<void>;
  /** Everything, as the weekly check looks at it. */
  check(): Promise<Difference[]>;
}

export const openTestLog = async (): Promise<TestLog> => {
  const test = await openTestTrail();
  const { instance, database, keys, origin, trail } = test;
  const { reader } = database.clients;
  const log: VerifiedLog = {
    instance,
    origin,
    keys: [parseVkey(trail.vkey)],
    client: reader,
    parts: new PartReader(instance, new Secrets(instance, keys, reader), reader),
  };
  const own = database.admin.db(instanceDatabase(instance));
  const tail = test.tails({ quiet: true });
  let index = 0;
  return {
    ...test,
    log,
    tail,
    as: (name) => own.collection(name),
    anchors: database.admin.db(controlDatabase).collection('anchors'),
    async appendBatches(batches, changes = () => ({})) {
      for (const size of batches) {
        const events = Array.from({ length: size }, () => event(changes(index++)));
        await trail.writer.append(events, 'platform');
      }
      await trail.reader.fresh(60_000);
      const tiles = own.collection<{ _id: string; next: number }>('tails');
      const end = await trail.reader.size();
      while (((await tiles.findOne({ _id: 'tiles' }))?.next ?? 0) < end)
        await new Promise((done) => setTimeout(done, 20));
    },
    async check() {
      const size = await anchoredSize(log);
      const walked = await walkRecord(log, { standing: emptyStanding, to: size, entriesMax: Infinity });
      const outside = await findOutside(log, size);
      const tiles = await walkTiles(log, { from: { level: 1, index: 0 }, size, tilesMax: Infinity });
      const found = [walked, outside, tiles].flatMap(({ differences }) => differences);
      if (found.some(({ store }) => store === 'index')) return found;
      const { differences } = await walkEmitters(log, { after: undefined, emittersMax: Infinity });
      return [...found, ...differences];
    },
  };
};
