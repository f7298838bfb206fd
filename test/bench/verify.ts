/** Verification of a whole log in memory, against one SHA-256 call an entry over the same bytes. */
import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { decodeBundle, encodeBundle } from '../../domain/tree/bundle.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { bundlesForSize, tileWidth } from '../../domain/tree/tiles.ts';
import { verifyLog, type EntryChunk, type LogSources } from '../../domain/verify/verifyLog.ts';
import { allSegments, segmentsOf } from '../../trail/segments.ts';
import type { Benchmark } from './benchmark.ts';
import type { Environment } from './environment.ts';
import { fillLog } from './filledLog.ts';
import { holdContest, perSecond, timeMs, type Contender, type Metric } from './harness.ts';

const sizes = { small: 20_000, full: 500_000 } as const;

const rate: Metric = { name: 'rate', unit: 'entries/s', better: 'higher' };

interface LogInMemory {
  readonly entries: readonly Uint8Array[];
  readonly sources: Omit<LogSources, 'tiles'> & Required<Pick<LogSources, 'tiles'>>;
  readonly origin: string;
  readonly vkey: string;
}

async function writtenLog(environment: Environment, events: number): Promise<LogInMemory> {
  const at = await environment.instance('verify');
  const trail = await at.open();
  await fillLog(trail, events, environment.say);
  const entries: Uint8Array[] = [];
  for await (const segment of segmentsOf(at.clients.reader, at.instance).find(allSegments).sort({ _id: 1 }))
    entries.push(...decodeBundle(segment.entries.buffer));
  const checkpoint = await trail.reader.checkpoint();
  if (checkpoint?.size !== entries.length) throw new Error('the checkpoint is not that of the entries');
  const chunks = [...bundlesForSize(entries.length)].map(({ index, width }): EntryChunk => {
    const firstIndex = index * tileWidth;
    return { firstIndex, count: width, bundle: encodeBundle(entries.slice(firstIndex, firstIndex + width)) };
  });
  const tiles = new Map<string, Promise<Uint8Array>>();
  const readTile: LogSources['tiles'] = (tile) => {
    const key = `${tile.level}/${tile.index}/${tile.width}`;
    const read = tiles.get(key) ?? trail.reader.tiles.hashes(tile.level, tile.index, tile.width);
    tiles.set(key, read);
    return read;
  };
  const sources = {
    checkpoint: Buffer.from(checkpoint.note),
    entries: async function* () {
      yield* chunks;
    },
    tiles: readTile,
  };
  const log = { entries, sources, origin: trail.origin, vkey: trail.vkey };
  // All tiles are in memory before the first measurement; the database is not asked again.
  await verifyAll(log, { schema: false, tiles: true });
  await Promise.all(tiles.values());
  await at.close();
  return log;
}

interface Checks {
  readonly schema: boolean;
  readonly tiles: boolean;
  /** Look at entries in as many threads as there are cores, as the command line does. */
  readonly threads?: boolean;
}

async function verifyAll({ sources, origin, vkey }: LogInMemory, { schema, tiles, threads }: Checks): Promise<void> {
  const { tiles: readTile, ...bare } = sources;
  const options = {
    keys: [parseVkey(vkey)],
    origin,
    schema,
    ...(threads && { threads: () => availableParallelism() }),
  };
  const report = await verifyLog(tiles ? { ...bare, tiles: readTile } : bare, options);
  if (report.outcome !== 'verified') throw new Error(`the log does not hold: ${JSON.stringify(report)}`);
}

export const verify: Benchmark = {
  name: 'verify',
  title: 'verifyLog over a log in memory, against one SHA-256 call an entry over the same bytes',
  async run(environment) {
    const log = await writtenLog(environment, environment.extent.events ?? sizes[environment.extent.scale]);
    const { entries } = log;
    const half = { rate: { atLeast: 0.5 } };
    const rated = (name: string, work: () => Promise<void> | void, bars?: Contender['bars']): Contender => ({
      name,
      ...(bars && { bars }),
      measure: async () => ({ rate: perSecond(entries.length, await timeMs(async () => work())) }),
    });
    const comparisons = await holdContest(
      {
        title: `${entries.length.toLocaleString('en-US')} entries`,
        metrics: [rate],
        make: () => undefined,
        baseline: rated('SHA-256 of each entry', () => {
          for (const entry of entries) hash('sha256', entry, 'buffer');
        }),
        subjects: [
          rated('every check, in threads', () => verifyAll(log, { schema: true, tiles: true, threads: true }), half),
          rated(
            'tree, tiles and ids, in threads',
            () => verifyAll(log, { schema: false, tiles: true, threads: true }),
            half,
          ),
          rated('every check, in one thread', () => verifyAll(log, { schema: true, tiles: true })),
          rated('tree, tiles and ids, in one thread', () => verifyAll(log, { schema: false, tiles: true })),
          rated('tree and ids, no tiles, in one thread', () => verifyAll(log, { schema: false, tiles: false })),
        ],
      },
      environment.extent,
    );
    const bytes = entries.reduce((sum, entry) => sum + entry.length, 0);
    return { comparisons, conditions: { entries: entries.length, entryBytesMean: Math.round(bytes / entries.length) } };
  },
};
