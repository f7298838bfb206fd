/** How long an acknowledgement takes where the log has half of the work that it could do, against a bare insert. */
import { majority } from '../../trail/database.ts';
import type { Benchmark } from './benchmark.ts';
import { Producers } from './events.ts';
import { holdContest, perSecond, quantile, timeMs, withCallers, type Contender, type Metric } from './harness.ts';
import { append } from './ingest.ts';
import { arrivals, measureOpen } from './openLoop.ts';

const callers = 16;
const sizes = { small: { seconds: 2, probe: 1500 }, full: { seconds: 10, probe: 6000 } } as const;
const database = 'bench_latency';

const metrics: readonly Metric[] = [
  { name: 'p50Ms', unit: 'ms', better: 'lower' },
  { name: 'p99Ms', unit: 'ms', better: 'lower' },
];

export const latency: Benchmark = {
  name: 'latency',
  title: 'An acknowledgement at half of the maximum rate of single events, arriving at random, against a bare insert',
  async run(environment) {
    const { seconds, probe } = sizes[environment.extent.scale];
    const at = await environment.instance('latency');
    const trail = await at.open();
    const collection = environment.plain(database).collection(at.instance);
    const from = new Producers(callers);
    const insert = (producer: number) => {
      const event = { ...from.event(producer) };
      return () => collection.insertOne(event, { writeConcern: majority.writeConcern });
    };
    const sealed = (producer: number) => {
      const event = from.event(producer);
      return () => append(trail, [event]);
    };
    type Prepare = (producer: number) => () => Promise<unknown>;
    /** Events a second of callers who each wait for the last before they send the next. */
    const maximum = async (prepare: Prepare) => {
      const works = Array.from({ length: probe }, (_, number) => prepare(number % callers));
      return perSecond(probe, await timeMs(() => withCallers(works, callers, (work) => work())));
    };
    await maximum(sealed);
    const maxima = { sealed: await maximum(sealed), bare: await maximum(insert) };
    // Of the slower one, so that neither is asked for more than it can do.
    const rate = Math.min(maxima.sealed, maxima.bare) / 2;
    const contender = (name: string, prepare: Prepare, bars?: Contender['bars']): Contender<number[]> => ({
      name,
      ...(bars && { bars }),
      async measure(moments) {
        const works = moments.map((_, number) => prepare(number % callers));
        const latencies = await measureOpen(moments, (number) => works[number]!());
        return { p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
      },
    });
    const comparisons = await holdContest(
      {
        title: 'single events, half of the maximum rate',
        metrics,
        make: (round) => arrivals(rate, seconds * 1000, 1 + round),
        baseline: contender('insertOne', insert),
        subjects: [contender('sealed, acknowledged', sealed, { p99Ms: { atMost: 2 } })],
      },
      environment.extent,
    );
    await at.close();
    const conditions = {
      seconds,
      callersOfTheMaximum: callers,
      maximumSealed: Math.round(maxima.sealed),
      maximumBare: Math.round(maxima.bare),
      eventsPerSecond: Math.round(rate),
    };
    return { comparisons, conditions };
  },
};
