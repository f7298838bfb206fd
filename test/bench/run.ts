/**
 * `npm run bench`: the benchmarks on servers of their own, each figure held against a baseline measured in the same run.
 * Nothing fails on a number. Writes `latest.json` and `latest.svg` to docs/benchmarks, or where `--out` says.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { archive } from './archive.ts';
import type { Benchmark } from './benchmark.ts';
import { renderChart } from './chart.ts';
import { startEnvironment, type Extent, type Scale } from './environment.ts';
import { growth } from './growth.ts';
import { ingestApi } from './ingestApi.ts';
import { ingestTrail } from './ingestTrail.ts';
import { latency } from './latency.ts';
import { manyInstances } from './manyInstances.ts';
import { performAction } from './performAction.ts';
import type { BenchmarkReport, Results } from './results.ts';
import { sustained } from './sustained.ts';
import { renderTable } from './table.ts';
import { threeProcesses } from './threeProcesses.ts';
import { timeline } from './timeline.ts';
import { verify } from './verify.ts';
import { verifyMemory } from './verifyMemory.ts';

const benchmarks: readonly Benchmark[] = [
  ingestTrail,
  sustained,
  latency,
  threeProcesses,
  manyInstances,
  growth,
  ingestApi,
  timeline,
  verify,
  verifyMemory,
  archive,
  performAction,
];

const usage = `npm run bench -- [options]

  --only NAME     one benchmark (may be repeated): ${benchmarks.map(({ name }) => name).join(', ')}
  --scale SCALE   small or full (default full)
  --events N      in place of the scale's own number of events
  --rounds N      rounds that count (default 5)
  --out DIR       where latest.json and latest.svg go (default docs/benchmarks; with --only: nowhere)
  --help`;

interface Asked {
  readonly extent: Extent;
  readonly chosen: readonly Benchmark[];
  readonly out: string | undefined;
}

class UsageError extends Error {
  override readonly name = 'UsageError';
}

const positive = (option: string, given: string): number => {
  const value = Number(given);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new UsageError(`${option} takes a positive number, not ${given}`);
  return value;
};

function readArguments(args: readonly string[]): Asked | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true },
      scale: { type: 'string', default: 'full' },
      events: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      out: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return undefined;
  if (values.scale !== 'small' && values.scale !== 'full') throw new UsageError('--scale takes small or full');
  const chosen = values.only
    ? values.only.map((only) => {
        const found = benchmarks.find(({ name }) => name === only);
        if (!found)
          throw new UsageError(
            `there is no benchmark ${only}; there are ${benchmarks.map(({ name }) => name).join(', ')}`,
          );
        return found;
      })
    : benchmarks;
  const extent: Extent = {
    scale: values.scale satisfies Scale,
    rounds: positive('--rounds', values.rounds),
    ...(values.events !== undefined && { events: positive('--events', values.events) }),
  };
  const documented = values.only ? undefined : resolve(import.meta.dirname, '../../docs/benchmarks');
  return { extent, chosen, out: values.out === undefined ? documented : resolve(values.out) };
}

/** Makes `gc` known to the harness. */
function exposeGarbageCollection(): void {
  setFlagsFromString('--expose-gc');
  (globalThis as { gc?: unknown }).gc = runInNewContext('gc');
}

async function writeResults(out: string, results: Results): Promise<void> {
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'latest.json'), `${JSON.stringify(results, undefined, 2)}\n`);
  await writeFile(join(out, 'latest.svg'), renderChart(results));
}

async function runBenchmarks({ extent, chosen, out }: Asked): Promise<void> {
  exposeGarbageCollection();
  const started = new Date();
  const say = (line: string) => console.error(`[${((Date.now() - started.getTime()) / 1000).toFixed(0)} s] ${line}`);
  const environment = await startEnvironment(extent, say);
  const stop = () => {
    void environment.close().finally(() => process.exit(130));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const facts = await environment.facts();
    const reports: BenchmarkReport[] = [];
    const failed: string[] = [];
    for (const benchmark of chosen) {
      const { name, title } = benchmark;
      say(`${name}: ${title}`);
      try {
        reports.push({ name, title, ...(await benchmark.run(environment)) });
      } catch (error) {
        // The others are worth having all the same.
        console.error(`${name} failed:`, error);
        failed.push(name);
      }
      const durationSeconds = Math.round((Date.now() - started.getTime()) / 1000);
      const results: Results = {
        startedAt: started.toISOString(),
        durationSeconds,
        extent,
        facts,
        benchmarks: reports,
        failed,
      };
      // After each, so that a run that is stopped leaves what it had.
      if (out !== undefined) await writeResults(out, results);
    }
    console.log(renderTable(reports));
    if (out !== undefined) console.log(`\nwritten to ${out}`);
    if (failed.length > 0) process.exitCode = 1;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await environment.close();
  }
}

try {
  const asked = readArguments(process.argv.slice(2));
  if (asked) await runBenchmarks(asked);
  else console.log(usage);
} catch (error) {
  const wrongUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  if (!wrongUsage) throw error;
  console.error(`${(error as Error).message}\n\n${usage}`);
  process.exitCode = 2;
}
