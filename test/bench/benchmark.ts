/** What a benchmark is to the run. */
import type { Environment } from './environment.ts';
import type { Comparison } from './harness.ts';

export interface Benchmark {
  /** As `--only` takes it. */
  readonly name: string;
  /** One line on what is held against what. */
  readonly title: string;
  run(environment: Environment): Promise<BenchmarkResult>;
}

export interface BenchmarkResult {
  readonly comparisons: readonly Comparison[];
  /** What the figures rest on: numbers of events, sizes, concurrency. */
  readonly conditions: Readonly<Record<string, string | number>>;
}
