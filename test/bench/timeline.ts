/** The timeline of one run among many, against the bare indexed find of its rows. */
import { findChain, timelineOf } from '../../api/operations/timeline.ts';
import type { CorrelationId } from '../../schema/ids.ts';
import { indexOf } from '../../trail/projection.ts';
import { seeAll } from '../../trail/reader.ts';
import { startApiProcess } from './apiProcess.ts';
import type { Benchmark } from './benchmark.ts';
import { fillAndIndex, runEvents, runsAtOnce } from './filledLog.ts';
import { holdContest, quantile, timeMs, type Contender, type Metric } from './harness.ts';
import { provisionedInstance } from './provisioned.ts';

const sizes = {
  small: { events: 50_000, asked: 50 },
  full: { events: 1_000_000, asked: 200 },
} as const;
const eventsMax = 10_000;

const metrics: readonly Metric[] = [
  { name: 'p50Ms', unit: 'ms', better: 'lower' },
  { name: 'p95Ms', unit: 'ms', better: 'lower' },
];

type Asked = readonly CorrelationId[];

interface Answer {
  readonly timeline: { readonly rows: readonly object[] };
}

const queryOf = (more: string) => `query ($correlationId: CorrelationId!) {
  timeline(correlationId: $correlationId) {
    rows {
      parent depth eventTime receivedTime flags
      event { index id action phase outcome system emitter { id sequence } actor { principal kind } ${more} }
    }
    behind
  }
}`;

/** Asks one after the other; `ask` says how many rows it got. */
const asking = (
  name: string,
  ask: (correlationId: CorrelationId) => Promise<number>,
  p95AtMost?: number,
): Contender<Asked> => ({
  name,
  ...(p95AtMost !== undefined && { bars: { p95Ms: { atMost: p95AtMost } } }),
  async measure(asked) {
    const times: number[] = [];
    for (const correlationId of asked) {
      let rows = 0;
      times.push(await timeMs(async () => (rows = await ask(correlationId))));
      if (rows !== runEvents) throw new Error(`${name} gave ${rows} rows, not ${runEvents}`);
    }
    return { p50Ms: quantile(times, 0.5), p95Ms: quantile(times, 0.95) };
  },
});

export const timeline: Benchmark = {
  name: 'timeline',
  title: `The timeline of a run of ${runEvents} events among many, against the bare indexed find of the same rows`,
  async run(environment) {
    const size = sizes[environment.extent.scale];
    const { at, trail, tails, tokens } = await provisionedInstance(environment, 'timeline');
    const log = await fillAndIndex(trail, environment.extent.events ?? size.events, environment.say);
    const api = await startApiProcess(environment, at.keysFolder);
    const { reader } = trail;
    const rows = indexOf(at.clients.reader, at.instance);
    const overHttp = async (query: string, correlationId: CorrelationId) =>
      (await api.ask<Answer>(tokens.auditor, query, { correlationId })).timeline.rows.length;
    const chain = (corr: CorrelationId) => findChain(reader, corr, eventsMax);
    const comparisons = await holdContest<Asked>(
      {
        title: `${runEvents} events among ${log.events.toLocaleString('en-US')}`,
        metrics,
        make: () =>
          Array.from(
            { length: size.asked },
            () => log.correlations[Math.floor(Math.random() * log.correlations.length)]!,
          ),
        baseline: asking('indexed find', async (corr) => (await rows.find({ corr }).sort({ _id: 1 }).toArray()).length),
        subjects: [
          asking('timeline, skeletons', async (corr) => timelineOf(await chain(corr), false).rows.length, 3),
          asking('timeline with payloads', async (corr) => {
            const found = await chain(corr);
            const events = await reader.withParts(found.events, seeAll);
            return timelineOf({ ...found, events }, false).rows.length;
          }),
          asking('over HTTP, skeletons', (corr) => overHttp(queryOf(''), corr)),
          asking('over HTTP with payloads', (corr) => overHttp(queryOf('parts { name state content }'), corr)),
        ],
      },
      environment.extent,
    );
    await api.stop();
    await tails.stop();
    await at.close();
    const conditions = { events: log.events, runEvents, runsAtOnce, timelinesARound: size.asked };
    return { comparisons, conditions };
  },
};
