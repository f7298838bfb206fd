/** What the benchmarks of ingest have in common: the same events sent sealed and as plain documents. */
import type { Collection, Document, MongoClient } from 'mongodb';
import type { EventInput } from '../../schema/event.ts';
import { instanceIndexes } from '../../store/provisioning/indexes.ts';
import { majority } from '../../trail/database.ts';
import type { Trail } from '../../trail/trail.ts';
import type { Producers } from './events.ts';
import { perSecond, timeMs, type Contender, type Metric } from './harness.ts';

export const batchSize = 500;
export const producers = 4;

export const rate: Metric = { name: 'rate', unit: 'events/s', better: 'higher' };

/** Throws where an event was not accepted: what is refused costs little and would flatter. */
export const append = async (trail: Trail, events: readonly EventInput[]): Promise<void> => {
  const results = await trail.writer.append(events, 'platform');
  const other = results.find(({ status }) => status !== 'accepted');
  if (other) throw new Error(`an event of the benchmark was not accepted: ${JSON.stringify(other)}`);
};

/** For each producer its batches, in order. */
export type Batches = readonly (readonly EventInput[])[][];

export interface Ingested {
  readonly events: Batches;
  /** Copies for the driver, which adds `_id` to what it inserts. */
  readonly documents: readonly Document[][][];
}

export const makeBatches = (from: Producers, events: number): Ingested => {
  const made = from.batches(events, batchSize);
  return { events: made, documents: made.map((list) => list.map((batch) => batch.map((event) => ({ ...event })))) };
};

/** All producers at once, each one batch after the other. Events a second until the last is answered. */
export const sendBatches = async <B extends readonly unknown[]>(
  lists: readonly (readonly B[])[],
  send: (batch: B) => Promise<unknown>,
): Promise<number> => {
  const ms = await timeMs(() =>
    Promise.all(
      lists.map(async (list) => {
        for (const batch of list) await send(batch);
      }),
    ),
  );
  return perSecond(lists.flat(2).length, ms);
};

export const plainInsert = (name: string, collection: Collection): Contender<Ingested> => ({
  name,
  measure: async ({ documents }) => ({
    rate: await sendBatches(documents, (batch) =>
      collection.insertMany(batch, { writeConcern: majority.writeConcern }),
    ),
  }),
});

/** Where a plain event has what the index keeps under a shorter name. */
const plainPaths: Readonly<Record<string, string>> = {
  _id: '_id',
  id: 'id',
  corr: 'correlationId',
  run: 'runId',
  emitter: 'emitter.id',
  seq: 'emitter.sequence',
  res: 'resource.id',
  principal: 'actor.principal',
  action: 'action',
  system: 'system',
  control: 'control.change',
  session: 'sessionId',
  cause: 'causedBy',
  channel: 'channel.id',
  subjects: 'subjects.id',
  et: 'eventTime',
  rt: 'eventTime',
  phase: 'phase',
  outcome: 'outcome',
  error: 'error.code',
};

const plainPath = (field: string): string => {
  const path = plainPaths[field];
  if (path === undefined) throw new TypeError(`where plain events have the index's field "${field}" is not known`);
  return path;
};

/** A collection of plain events with the secondary indexes that the index of events has. */
export const indexedCollection = async (client: MongoClient, database: string, name: string): Promise<Collection> => {
  const collection = client.db(database).collection(name);
  await collection.createIndexes(
    (instanceIndexes.events ?? []).map(({ key, ...options }) => ({
      ...options,
      key: Object.fromEntries(Object.entries(key).map(([field, order]) => [plainPath(field), order])),
    })),
  );
  return collection;
};
