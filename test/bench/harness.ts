/**
 * Rounds, medians and ratios. In each round everything is measured once, the baseline and what is held against it in
 * turn first, so that neither gets the warmer machine; a ratio is taken within a round, and the median of the rounds'
 * ratios is what is reported. One round before the first is not counted.
 */

/** What one measurement gives, by the name of the metric. */
export type Measured = Readonly<Record<string, number>>;

/** What a ratio is to reach: at least so much, or at most. Nothing fails on it. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number };

export const reaches = (bar: Bar, ratio: number): boolean =>
  'atLeast' in bar ? ratio >= bar.atLeast : ratio <= bar.atMost;

/** `T`: what the events or the like of a round are, the same for all who compete in it. */
export interface Contender<T = void> {
  readonly name: string;
  /** By the name of the metric. */
  readonly bars?: Readonly<Record<string, Bar>>;
  /** Before the clock. */
  prepare?(material: T): Promise<void> | void;
  /** Does the work and says how it went. */
  measure(material: T): Promise<Measured>;
}

export interface Metric {
  readonly name: string;
  /** For example `events/s` or `ms`. */
  readonly unit: string;
  readonly better: 'higher' | 'lower';
}

export interface Contest<T = void> {
  /** What is compared, for a reader of the table. */
  readonly title: string;
  /** Once a round, before the clock. */
  readonly make: (round: number) => Promise<T> | T;
  readonly metrics: readonly Metric[];
  readonly baseline: Contender<T>;
  readonly subjects: readonly Contender<T>[];
}

export interface Figures {
  readonly median: number;
  /** One a round, in order. */
  readonly rounds: readonly number[];
}

/** One subject held against the baseline, in one metric. `ratio` is subject divided by baseline. */
export interface Comparison {
  readonly contest: string;
  readonly metric: Metric;
  readonly baseline: Figures & { readonly name: string };
  readonly subject: Figures & { readonly name: string };
  readonly ratio: Figures & { readonly min: number; readonly max: number };
  /** And whether the median of the ratios reaches it. */
  readonly bar?: Bar & { readonly reached: boolean };
}

/** The q-th quantile (0 to 1), the smallest value that at least that share of the values does not pass. */
export const quantile = (values: readonly number[], q: number): number => {
  if (values.length === 0) throw new RangeError('there is no quantile of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
};

/** The middle value; of an even number, the mean of the two in the middle. */
export const median = (values: readonly number[]): number => {
  if (values.length === 0) throw new RangeError('there is no median of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

const figures = (rounds: readonly number[]): Figures => ({ median: median(rounds), rounds });

export interface RoundOptions {
  readonly rounds: number;
  /** Runs before each measurement; by default collects garbage, where Node lets it. */
  readonly settle?: () => Promise<void> | void;
}

/** Garbage of what was measured before is not to be paid for by what is measured next. */
const collectGarbage = (): void => (globalThis as { gc?: () => void }).gc?.();

export async function holdContest<T>(contest: Contest<T>, options: RoundOptions): Promise<Comparison[]> {
  const { baseline, subjects, metrics } = contest;
  const contenders = [baseline, ...subjects];
  const measured = new Map(contenders.map((contender) => [contender, [] as Measured[]]));
  const settle = options.settle ?? collectGarbage;
  for (let round = 0; round <= options.rounds; round += 1) {
    const material = await contest.make(round);
    for (const contender of round % 2 === 1 ? contenders : contenders.toReversed()) {
      await contender.prepare?.(material);
      await settle();
      const result = await contender.measure(material);
      if (round > 0) measured.get(contender)!.push(result);
    }
  }
  const inRounds = (contender: Contender<T>, metric: Metric): number[] =>
    measured.get(contender)!.map((result) => {
      const value = result[metric.name];
      if (value === undefined) throw new TypeError(`${contender.name} did not measure ${metric.name}`);
      return value;
    });
  return subjects.flatMap((subject) =>
    metrics.map((metric): Comparison => {
      const base = inRounds(baseline, metric);
      const own = inRounds(subject, metric);
      const ratios = own.map((value, round) => value / base[round]!);
      const bar = subject.bars?.[metric.name];
      return {
        contest: contest.title,
        metric,
        baseline: { name: baseline.name, ...figures(base) },
        subject: { name: subject.name, ...figures(own) },
        ratio: { ...figures(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
        ...(bar && { bar: { ...bar, reached: reaches(bar, median(ratios)) } }),
      };
    }),
  );
}

/** Milliseconds that the work took. */
export async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export const perSecond = (count: number, ms: number): number => (count * 1000) / ms;

/** `concurrency` callers take from one list, each the next when it is done with the last. */
export async function withCallers<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T, caller: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const caller = async (_: unknown, number: number) => {
    while (next < items.length) await work(items[next++]!, number);
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}
