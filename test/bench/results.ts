/** What a run of the benchmarks leaves: docs/benchmarks/latest.json. */
import type { BenchmarkResult } from './benchmark.ts';
import type { Extent, Facts } from './environment.ts';

export interface BenchmarkReport extends BenchmarkResult {
  readonly name: string;
  readonly title: string;
}

export interface Results {
  /** UTC, ISO 8601. */
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly extent: Extent;
  readonly facts: Facts;
  readonly benchmarks: readonly BenchmarkReport[];
  /** Benchmarks that ended in an error. */
  readonly failed: readonly string[];
}
