/** The same events through one log, and through a hundred logs of a hundred instances. */
import type { Trail } from '../../trail/trail.ts';
import type { Benchmark } from './benchmark.ts';
import { Producers } from './events.ts';
import { holdContest, perSecond, timeMs, withCallers, type Contender } from './harness.ts';
import { append, rate } from './ingest.ts';

const sizes = { small: { instances: 20, batches: 60 }, full: { instances: 100, batches: 600 } } as const;
const batchSize = 100;
const inFlight = 16;

export const manyInstances: Benchmark = {
  name: 'many-instances',
  title: 'Sealed ingest into a hundred instances, against the same into one',
  async run(environment) {
    const { instances, batches } = sizes[environment.extent.scale];
    const many = await environment.instances('many', instances);
    const one = await environment.instances('one', 1);
    const from = new Producers(inFlight);
    const contender = (name: string, trails: readonly Trail[], bars?: Contender['bars']): Contender => {
      // By turns, so that each instance gets its share; a batch is of one emitter, in order.
      let turn = 0;
      return {
        name,
        ...(bars && { bars }),
        async measure() {
          const works = Array.from({ length: batches }, (_, number) => ({
            trail: trails[(turn += 1) % trails.length]!,
            events: Array.from({ length: batchSize }, () => from.event(number % inFlight)),
          }));
          const ms = await timeMs(() => withCallers(works, inFlight, ({ trail, events }) => append(trail, events)));
          return { rate: perSecond(batches * batchSize, ms) };
        },
      };
    };
    const comparisons = await holdContest(
      {
        title: `batches of ${batchSize}, ${inFlight} in flight in all`,
        metrics: [rate],
        make: () => undefined,
        baseline: contender('one instance', one.trails),
        subjects: [contender(`${instances} instances`, many.trails, { rate: { atLeast: 0.7 } })],
      },
      environment.extent,
    );
    await many.close();
    await one.close();
    return { comparisons, conditions: { instances, batches, batchSize, inFlight } };
  },
};
