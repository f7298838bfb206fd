/**
 * Ingest that goes on, with the index keeping up: producers wait where the index is too far behind, so that what is
 * measured is the rate at which events can be recorded and queried for as long as one likes.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { majority } from '../../trail/database.ts';
import type { Trail } from '../../trail/trail.ts';
import type { Benchmark } from './benchmark.ts';
import { eventBytes, payloadBytes, Producers } from './events.ts';
import { holdContest, perSecond, timeMs, type Metric } from './harness.ts';
import { append, batchSize, indexedCollection, producers } from './ingest.ts';
import { startTails } from './tails.ts';

const sizes = { small: { seconds: 3 }, full: { seconds: 60 } } as const;
/** Entries that the index may be behind: some two seconds' worth. */
const behindMax = 20_000;
const sampleMs = 200;
const database = 'bench_sustained';

const metrics: readonly Metric[] = [{ name: 'rate', unit: 'events/s', better: 'higher' }];

export const sustained: Benchmark = {
  name: 'sustained',
  title: 'Sealed ingest over a time, the index keeping up, against bare inserts with the same indexes',
  async run(environment) {
    const { seconds } = sizes[environment.extent.scale];
    const at = await environment.instance('sustained');
    const trail = await at.open({ queueEventsMax: 100_000 });
    const tails = await startTails(at);
    const from = new Producers(producers);
    environment.plain(database);
    const collection = await indexedCollection(environment.admin, database, at.instance);
    /** The most that the index was behind in each half of each measurement. */
    const lags: Lag[] = [];

    /** Each producer sends one batch after the other until the time is over. Returns how many events. */
    const produce = async (send: (producer: number) => Promise<void>): Promise<number> => {
      const until = performance.now() + seconds * 1000;
      let sent = 0;
      await Promise.all(
        Array.from({ length: producers }, async (_, producer) => {
          while (performance.now() < until) {
            await send(producer);
            sent += batchSize;
          }
        }),
      );
      return sent;
    };
    const make = (producer: number) => Array.from({ length: batchSize }, () => from.event(producer));
    const rated = async (work: () => Promise<number>) => {
      let events = 0;
      const ms = await timeMs(async () => (events = await work()));
      return { rate: perSecond(events, ms) };
    };

    const comparisons = await holdContest(
      {
        title: `${seconds} s, batches of ${batchSize}, ${producers} producers, at most ${behindMax} entries behind`,
        metrics,
        make: () => undefined,
        baseline: {
          name: 'insertMany with the same indexes',
          measure: () =>
            rated(() =>
              produce(async (producer) => {
                const documents = make(producer).map((event) => ({ ...event }));
                await collection.insertMany(documents, { writeConcern: majority.writeConcern });
              }),
            ),
        },
        subjects: [
          {
            name: 'sealed, the index keeping up',
            bars: { rate: { atLeast: 0.4 } },
            measure: () =>
              rated(async () => {
                const watch = new LagWatch(trail, seconds * 1000);
                const events = await produce(async (producer) => {
                  await watch.below(behindMax);
                  await append(trail, make(producer));
                });
                lags.push(await watch.end());
                // All of them can be queried before the clock stops.
                while ((await trail.reader.fresh(1000)) > 0);
                return events;
              }),
          },
        ],
      },
      environment.extent,
    );
    await tails.stop();
    await at.close();
    const most = (half: 'first' | 'second') => Math.max(...lags.map((lag) => lag[half]));
    return {
      comparisons,
      conditions: {
        seconds,
        eventBytes,
        payloadBytes,
        batchSize,
        producers,
        behindMax,
        behindMostInFirstHalf: most('first'),
        behindMostInSecondHalf: most('second'),
      },
    };
  },
};

/** The most that the index was behind in each half of the time. */
interface Lag {
  readonly first: number;
  readonly second: number;
}

/** Looks now and then how far the index is behind. */
class LagWatch {
  readonly #trail: Trail;
  readonly #halfAt: number;
  readonly #watching: Promise<void>;
  readonly #lag = { first: 0, second: 0 };
  #behind = 0;
  #over = false;

  constructor(trail: Trail, durationMs: number) {
    this.#trail = trail;
    this.#halfAt = performance.now() + durationMs / 2;
    this.#watching = this.#watch();
  }

  /** Returns when the index is at most so many entries behind, as far as was seen. */
  async below(entries: number): Promise<void> {
    while (this.#behind > entries) await delay(sampleMs);
  }

  async end(): Promise<Lag> {
    this.#over = true;
    await this.#watching;
    return this.#lag;
  }

  async #watch(): Promise<void> {
    while (!this.#over) {
      this.#behind = await this.#trail.reader.fresh(0);
      const half = performance.now() < this.#halfAt ? 'first' : 'second';
      this.#lag[half] = Math.max(this.#lag[half], this.#behind);
      await delay(sampleMs);
    }
  }
}
