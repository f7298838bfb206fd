/** How much memory `trailkeeper verify` takes for a large log, against a tenth of it: a process for each, over a folder. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keyOf, verifyFiles } from '../../cli/log/verifyFiles.ts';
import { folderFiles } from '../../cli/log/source.ts';
import { encodeBundle } from '../../domain/tree/bundle.ts';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { appendLeaves, emptyEdge, rootOfEdge, type Edge } from '../../domain/tree/edge.ts';
import { hashBytes, leafHashes, perfectRoot } from '../../domain/tree/hash.ts';
import { encodeVkey, type NoteSigner } from '../../domain/tree/note.ts';
import { bundlesForSize, tilePath, tilesForSize, tileWidth } from '../../domain/tree/tiles.ts';
import { bytesOf, sampleEntry } from '../tree/sampleEntries.ts';
import { testSigner } from '../tree/testSigner.ts';
import type { Benchmark } from './benchmark.ts';
import { holdContest, type Contender, type Metric } from './harness.ts';

const sizes = { small: { few: 20_000, many: 200_000 }, full: { few: 100_000, many: 1_000_000 } } as const;
const origin = 'bench.example/log';
const peak: Metric = { name: 'peakMiB', unit: 'MiB', better: 'lower' };

const put = async (folder: string, path: string, bytes: Uint8Array | string): Promise<void> => {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), bytes);
};

/** Entries of runs of a hundred, fifty of them at a time, each with an emitter of its own; some 700 bytes each. */
const entryAt = (index: number): Buffer => {
  const run = Math.floor(index / 5000) * 50 + (index % 50);
  return bytesOf(
    sampleEntry(index, {
      runId: `01999999-0000-7000-8000-${run.toString(16).padStart(12, '0')}`,
      emitter: { id: `agent-${run}`, sequence: Math.floor((index % 5000) / 50) + 1 },
      onBehalfOf: 'dana',
      endpoint: 'PATCH /sobjects/Contact/{id}',
      purpose: 'quarterly-contact-update',
      parts: [{ name: 'after', sizeBytes: 502, commitment: index.toString(16).padStart(64, '0') }],
    }),
  );
};

/** A log in the layout of c2sp.org/tlog-tiles, written a bundle at a time. */
const writeLog = async (folder: string, size: number, signer: NoteSigner): Promise<void> => {
  /** Hashes of each level of tiles: of a million, all but those of the leaves are few. */
  const levels: Buffer[][] = [];
  let edge: Edge = emptyEdge;
  let next = 0;
  for (const bundle of bundlesForSize(size)) {
    const some = Array.from({ length: bundle.width }, (_, i) => entryAt(next + i));
    await put(folder, tilePath(bundle), encodeBundle(some));
    const leaves = leafHashes(some);
    await put(folder, tilePath({ kind: 'hashes', level: 0, index: bundle.index, width: bundle.width }), leaves);
    if (bundle.width === tileWidth) (levels[1] ??= []).push(Buffer.from(perfectRoot(leaves)));
    edge = appendLeaves(edge, next, leaves).edge;
    next += bundle.width;
  }
  for (const tile of tilesForSize(size)) {
    if (tile.level === 0) continue;
    const from = tile.index * tileWidth;
    const hashes = Buffer.concat(levels[tile.level]!.slice(from, from + tile.width), tile.width * hashBytes);
    await put(folder, tilePath(tile), hashes);
    if (tile.width === tileWidth) (levels[tile.level + 1] ??= []).push(Buffer.from(perfectRoot(hashes)));
  }
  await put(folder, 'checkpoint', signCheckpoint({ origin, size, root: rootOfEdge(edge, size) }, [signer]));
};

/** In a process of its own, which says what its peak was. */
const peakOf = async (folder: string, vkey: string): Promise<number> => {
  const child = spawn(process.execPath, [import.meta.filename, folder, vkey], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) chunks.push(chunk);
  await ended;
  const mebibytes = Number(Buffer.concat(chunks).toString());
  if (child.exitCode !== 0 || !(mebibytes > 0)) throw new Error('the log of the benchmark did not verify');
  return mebibytes;
};

export const verifyMemory: Benchmark = {
  name: 'verify-memory',
  title: 'Peak memory of verifying a log in a folder, against a log of a tenth of its size',
  async run(environment) {
    const { few, many } = sizes[environment.extent.scale];
    const signer = testSigner(origin, Buffer.alloc(32, 3));
    const folders = { few: join(environment.folder, 'log-few'), many: join(environment.folder, 'log-many') };
    environment.say(`  writing logs of ${few.toLocaleString('en-US')} and ${many.toLocaleString('en-US')} entries`);
    await writeLog(folders.few, few, signer);
    await writeLog(folders.many, many, signer);
    const contender = (size: number, folder: string, bars?: Contender['bars']): Contender => ({
      name: `${size.toLocaleString('en-US')} entries`,
      ...(bars && { bars }),
      measure: async () => ({ peakMiB: await peakOf(folder, encodeVkey(signer)) }),
    });
    const comparisons = await holdContest(
      {
        title: 'trailkeeper verify, every check',
        metrics: [peak],
        make: () => undefined,
        baseline: contender(few, folders.few),
        subjects: [contender(many, folders.many, { peakMiB: { atMost: 1.2 } })],
      },
      environment.extent,
    );
    for (const folder of Object.values(folders)) await rm(folder, { recursive: true });
    return { comparisons, conditions: { few, many } };
  },
};

/** What the command does, and then the most memory that this process ever had. */
async function verifyAndTell(folder: string, vkey: string): Promise<void> {
  const options = { keys: [keyOf(vkey)] as const, olderCheckpoints: [], schema: true, progress: () => undefined };
  const report = await verifyFiles(folderFiles(folder), options);
  if (report.outcome !== 'verified') throw new Error(JSON.stringify(report));
  console.log(process.resourceUsage().maxRSS / 1024);
}

if (import.meta.main) await verifyAndTell(process.argv[2]!, process.argv[3]!);
