/** What an event costs in a log that is large already, against one that has just begun. Both are indexed as they grow. */
import type { Trail } from '../../trail/trail.ts';
import type { Benchmark } from './benchmark.ts';
import type { BenchInstance, Environment } from './environment.ts';
import { Producers } from './events.ts';
import { fillAndIndex } from './filledLog.ts';
import { holdContest, timeMs, type Contender, type Metric } from './harness.ts';
import { append, batchSize, producers } from './ingest.ts';
import { startTails, type RunningTails } from './tails.ts';

const sizes = {
  small: { few: 10_000, many: 50_000, events: 10_000 },
  full: { few: 10_000, many: 1_000_000, events: 40_000 },
} as const;

const metrics: readonly Metric[] = [{ name: 'eventUs', unit: 'us', better: 'lower' }];

interface Grown {
  readonly at: BenchInstance;
  readonly trail: Trail;
  readonly tails: RunningTails;
}

const grown = async (environment: Environment, name: string, entries: number): Promise<Grown> => {
  const at = await environment.instance(name);
  const trail = await at.open({ queueEventsMax: 100_000 });
  const tails = await startTails(at);
  await fillAndIndex(trail, entries, environment.say);
  return { at, trail, tails };
};

export const growth: Benchmark = {
  name: 'growth',
  title: 'Time an event in a log of a million entries, against one of ten thousand',
  async run(environment) {
    const { few, many, events } = sizes[environment.extent.scale];
    const small = await grown(environment, 'few', few);
    const large = await grown(environment, 'many', environment.extent.events ?? many);
    const contender = (name: string, { trail }: Grown, bars?: Contender['bars']): Contender => ({
      name,
      ...(bars && { bars }),
      async measure() {
        const lists = new Producers(producers).batches(events, batchSize);
        const ms = await timeMs(() =>
          Promise.all(
            lists.map(async (list) => {
              for (const batch of list) await append(trail, batch);
            }),
          ),
        );
        // What is measured next shall not share the machine with this log's index.
        while ((await trail.reader.fresh(1000)) > 0);
        return { eventUs: (ms * 1000) / lists.flat(2).length };
      },
    });
    const text = (count: number) => `${count.toLocaleString('en-US')} entries and more`;
    const comparisons = await holdContest(
      {
        title: `batches of ${batchSize}, ${producers} producers`,
        metrics,
        make: () => undefined,
        baseline: contender(text(few), small),
        subjects: [contender(text(many), large, { eventUs: { atMost: 1.2 } })],
      },
      environment.extent,
    );
    for (const { tails, at } of [small, large]) {
      await tails.stop();
      await at.close();
    }
    return { comparisons, conditions: { few, many, events, batchSize, producers } };
  },
};
