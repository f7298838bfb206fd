/** Sealed ingest through the whole HTTP API, against inserting the same events as plain documents. */
import type { EventInput } from '../../schema/event.ts';
import { startApiProcess, type RunningApi } from './apiProcess.ts';
import type { Benchmark } from './benchmark.ts';
import { checkShape, eventBytes, payloadBytes, Producers } from './events.ts';
import { holdContest } from './harness.ts';
import { batchSize, makeBatches, plainInsert, producers, rate, sendBatches } from './ingest.ts';
import { provisionedInstance } from './provisioned.ts';

const sizes = { small: 6000, full: 30_000 } as const;

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
  title: 'Sealed ingest through the whole HTTP API (GraphQL), against bare inserts of the same events',
  async run(environment) {
    const events = environment.extent.events ?? sizes[environment.extent.scale];
    const { at, trail, tokens, tails } = await provisionedInstance(environment, 'api');
    const from = new Producers(producers);
    // The API looks their runs up.
    await trail.writer.append(from.openings(), 'platform');
    await trail.reader.fresh(60_000);
    // As in ingest-trail, the index is not part of an acknowledgement.
    await tails.stop();
    const api = await startApiProcess(environment, at.keysFolder);
    checkShape(from.event(0));
    const comparisons = await holdContest(
      {
        title: `batches of ${batchSize}, ${producers} producers`,
        metrics: [rate],
        make: () => makeBatches(from, events),
        baseline: plainInsert('insertMany', environment.plain('bench_ingest_api').collection(at.instance)),
        subjects: [
          {
            name: 'recordEvents, acknowledged',
            measure: async (material) => ({
              rate: await sendBatches(material.events, (batch) => record(api, tokens.agent, batch)),
            }),
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
