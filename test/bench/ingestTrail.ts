/** Sealed ingest through trail/ alone, against inserting the same events as plain documents. */
import { majority } from '../../trail/database.ts';
import type { Benchmark } from './benchmark.ts';
import type { Environment } from './environment.ts';
import { checkShape, eventBytes, payloadBytes, Producers } from './events.ts';
import {
  holdContest,
  perSecond,
  quantile,
  timeMs,
  withCallers,
  type Bar,
  type Comparison,
  type Metric,
} from './harness.ts';
import {
  append,
  batchSize,
  indexedCollection,
  makeBatches,
  plainInsert,
  producers,
  rate,
  sendBatches,
} from './ingest.ts';
import { startTails } from './tails.ts';

const callers = 16;
const knownSubjects = 2000;
const database = 'bench_ingest_trail';
const queueEventsMax = 100_000;

const sizes = {
  small: { batched: 10_000, single: 2000, newSubjects: 2000 },
  full: { batched: 40_000, single: 6000, newSubjects: 4000 },
} as const;

const p99: Metric = { name: 'p99Ms', unit: 'ms', better: 'lower' };

interface Batched {
  readonly title: string;
  readonly bar?: Bar;
  readonly events: number;
  /** Number of the subject that the n-th event is about. */
  readonly subject?: (number: number) => number;
}

async function batched(environment: Environment, { title, events, subject, bar }: Batched): Promise<Comparison[]> {
  const at = await environment.instance('ingest');
  const trail = await at.open({ queueEventsMax });
  const from = new Producers(producers, (number) => (subject ? { subject: subject(number) } : {}));
  checkShape(from.event(0));
  const comparisons = await holdContest(
    {
      title,
      metrics: [rate],
      make: () => makeBatches(from, events),
      baseline: plainInsert('insertMany', environment.plain(database).collection(at.instance)),
      subjects: [
        {
          name: 'sealed, acknowledged',
          ...(bar && { bars: { rate: bar } }),
          measure: async (material) => ({
            rate: await sendBatches(material.events, (batch) => append(trail, batch)),
          }),
        },
      ],
    },
    environment.extent,
  );
  await at.close();
  return comparisons;
}

/** Until every event can be queried: the index is written by a process of its own, as in production. */
async function queryable(environment: Environment, events: number): Promise<Comparison[]> {
  const at = await environment.instance('queryable');
  const trail = await at.open({ queueEventsMax });
  const tails = await startTails(at);
  const from = new Producers(producers);
  from.event(0);
  environment.plain(database);
  const comparisons = await holdContest(
    {
      title: `batches of ${batchSize}, ${producers} producers, until queryable`,
      metrics: [rate],
      make: () => makeBatches(from, events),
      baseline: plainInsert(
        'insertMany with the same indexes',
        await indexedCollection(environment.admin, database, at.instance),
      ),
      subjects: [
        {
          name: 'sealed and indexed',
          measure: async (material) => {
            const ms = await timeMs(async () => {
              await sendBatches(material.events, (batch) => append(trail, batch));
              while ((await trail.reader.fresh(1000)) > 0);
            });
            return { rate: perSecond(material.events.flat(2).length, ms) };
          },
        },
      ],
    },
    environment.extent,
  );
  await tails.stop();
  await at.close();
  return comparisons;
}

async function single(environment: Environment, events: number): Promise<Comparison[]> {
  const at = await environment.instance('single');
  const trail = await at.open();
  const collection = environment.plain(database).collection(at.instance);
  const from = new Producers(callers);
  const each = Math.floor(events / callers);
  const one = async <E>(lists: readonly E[][], send: (event: E) => Promise<unknown>) => {
    const times: number[] = [];
    const ms = await timeMs(() =>
      withCallers(lists, callers, async (list) => {
        for (const event of list) times.push(await timeMs(() => send(event)));
      }),
    );
    return { rate: perSecond(times.length, ms), p99Ms: quantile(times, 0.99) };
  };
  const comparisons = await holdContest(
    {
      title: `one event at a time, ${callers} callers`,
      metrics: [rate, p99],
      make: () => {
        const lists = Array.from({ length: callers }, (_, caller) =>
          Array.from({ length: each }, () => from.event(caller)),
        );
        return { lists, documents: lists.map((list) => list.map((event) => ({ ...event }))) };
      },
      baseline: {
        name: 'insertOne',
        measure: ({ documents }) =>
          one(documents, (event) => collection.insertOne(event as never, { writeConcern: majority.writeConcern })),
      },
      subjects: [
        {
          name: 'sealed, acknowledged',
          bars: { rate: { atLeast: 2 } },
          measure: ({ lists }) => one(lists, (event) => append(trail, [event])),
        },
      ],
    },
    environment.extent,
  );
  await at.close();
  return comparisons;
}

export const ingestTrail: Benchmark = {
  name: 'ingest-trail',
  title: 'Sealed ingest through trail/ alone, against bare inserts of the same events',
  async run(environment) {
    const size = sizes[environment.extent.scale];
    const events = environment.extent.events ?? size.batched;
    const few = Math.min(events, size.newSubjects);
    const comparisons = [
      ...(await batched(environment, {
        title: `batches of ${batchSize}, ${producers} producers`,
        events,
        bar: { atLeast: 0.8 },
      })),
      ...(await queryable(environment, events)),
      ...(await batched(environment, {
        title: `the same, about one of ${knownSubjects} known subjects each`,
        events,
        subject: (number) => number % knownSubjects,
        bar: { atLeast: 0.4 },
      })),
      ...(await batched(environment, {
        title: 'the same, about a subject never seen before each',
        events: few,
        subject: (number) => number,
      })),
      ...(await single(environment, Math.min(events, size.single))),
    ];
    const conditions = { events, eventBytes, payloadBytes, batchSize, producers, callers };
    return { comparisons, conditions };
  },
};
