/** Sealed ingest through the whole HTTP API, by GraphQL and by NDJSON, against inserting the same events as plain documents. */
import type { EventInput } from '../../schema/event.ts';
import { startApiProcess, type RunningApi } from './apiProcess.ts';
import type { Benchmark } from './benchmark.ts';
import { checkShape, eventBytes, payloadBytes, Producers } from './events.ts';
import { holdContest, perSecond, timeMs } from './harness.ts';
import {
  batchSize,
  makeBatches,
  plainInsert,
  producers,
  rate,
  sendBatches,
  type Batches,
  type Ingested,
} from './ingest.ts';
import { provisionedInstance } from './provisioned.ts';

const sizes = { small: 6000, full: 30_000 } as const;

/** The same number of events for each way in, and for the baseline. */
interface Material extends Ingested {
  readonly graphql: Batches;
  readonly requests: Batches;
  readonly streams: Batches;
}

const mutation = `mutation ($events: [JSONObject!]!) {
  recordEvents(events: $events) {
    status
    receipt { id index leafHash checkpoint }
    refusal { code message }
  }
}`;

interface Answer {
  readonly recordEvents: readonly { readonly status: string; readonly refusal: object | null }[];
}

/** Throws where an event was not accepted: what is refused costs little and would flatter. */
const record = async (api: RunningApi, token: string, events: readonly EventInput[]): Promise<void> => {
  const { recordEvents } = await api.ask<Answer>(token, mutation, { events });
  const other = recordEvents.find(({ status }) => status !== 'accepted');
  if (other) throw new Error(`an event of the benchmark was not accepted: ${JSON.stringify(other)}`);
};

export const ingestApi: Benchmark = {
  name: 'ingest-api',
  title: 'Sealed ingest through the whole HTTP API, against bare inserts of the same events',
  async run(environment) {
    const events = environment.extent.events ?? sizes[environment.extent.scale];
    const { at, trail, tokens, tails } = await provisionedInstance(environment, 'api');
    const from = new Producers(producers);
    // Each way in has producers of its own, whose numbers go up without a gap whichever goes first.
    const ways = {
      graphql: new Producers(producers),
      requests: new Producers(producers),
      streams: new Producers(producers),
    };
    // The API looks their runs up.
    for (const way of Object.values(ways)) await trail.writer.append(way.openings(), 'platform');
    await trail.reader.fresh(60_000);
    // As in ingest-trail, the index is not part of an acknowledgement.
    await tails.stop();
    const api = await startApiProcess(environment, at.keysFolder);
    checkShape(from.event(0));
    const comparisons = await holdContest<Material>(
      {
        title: `batches of ${batchSize}, ${producers} producers`,
        metrics: [rate],
        make: () => ({
          ...makeBatches(from, events),
          graphql: ways.graphql.batches(events, batchSize),
          requests: ways.requests.batches(events, batchSize),
          streams: ways.streams.batches(events, batchSize),
        }),
        baseline: plainInsert('insertMany', environment.plain('bench_ingest_api').collection(at.instance)),
        subjects: [
          {
            name: 'GraphQL recordEvents, acknowledged',
            bars: { rate: { atLeast: 0.2 } },
            measure: async (material) => ({
              rate: await sendBatches(material.graphql, (batch) => record(api, tokens.agent, batch)),
            }),
          },
          {
            name: 'NDJSON, a request a batch, acknowledged',
            bars: { rate: { atLeast: 0.4 } },
            measure: async (material) => ({
              rate: await sendBatches(material.requests, (batch) => api.stream(tokens.agent, [batch])),
            }),
          },
          {
            name: 'NDJSON, a request a producer, acknowledged',
            measure: async ({ streams: lists }) => {
              const ms = await timeMs(() => Promise.all(lists.map((list) => api.stream(tokens.agent, list))));
              return { rate: perSecond(lists.flat(2).length, ms) };
            },
          },
        ],
      },
      environment.extent,
    );
    await api.stop();
    await at.close();
    return { comparisons, conditions: { events, eventBytes, payloadBytes, batchSize, producers } };
  },
};
