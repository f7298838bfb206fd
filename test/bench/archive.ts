/** Archiving a log into a folder, and rebuilding its instance from there: how fast, and in how much memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { provisionDatabase } from '../../store/provisioning/provision.ts';
import { archiveTail } from '../../trail/archive/state.ts';
import { loseInstance } from '../archive/loss.ts';
import type { ArchiveOrder } from './archiveProcess.ts';
import type { Benchmark } from './benchmark.ts';
import type { BenchInstance, Environment } from './environment.ts';
import { fillLog } from './filledLog.ts';
import { holdContest, type Contender, type Measured, type Metric } from './harness.ts';

const sizes = { small: { few: 10_000, many: 30_000 }, full: { few: 50_000, many: 500_000 } } as const;

const metrics: readonly Metric[] = [
  { name: 'rate', unit: 'entries/s', better: 'higher' },
  { name: 'peakMiB', unit: 'MiB', better: 'lower' },
];

/** A log, its archive, and how to do the work on it in a process of its own. */
interface Subject {
  readonly at: BenchInstance;
  readonly vkey: string;
  readonly entries: number;
  archiveFolder: string;
}

const filled = async (environment: Environment, name: string, events: number): Promise<Subject> => {
  const at = await environment.instance(name);
  const trail = await at.open({ queueEventsMax: 100_000 });
  environment.say(`  filling a log with ${events.toLocaleString('en-US')} events`);
  await fillLog(trail, events, environment.say);
  return { at, vkey: trail.vkey, entries: await trail.reader.size(), archiveFolder: '' };
};

const inProcess = async (
  { mongodbUri }: Environment,
  { at, vkey, entries, archiveFolder }: Subject,
  work: ArchiveOrder['work'],
): Promise<Measured> => {
  const { instance, origin, keysFolder, uriOf } = at;
  const order: ArchiveOrder = { work, instance, origin, vkey, entries, archiveFolder, keysFolder };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'archiveProcess.ts'), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ARCHIVER_URI: uriOf('archiver'), ADMIN_URI: mongodbUri },
  });
  const ended = once(child, 'exit');
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) chunks.push(chunk);
  await ended;
  if (child.exitCode !== 0) throw new Error(`the process that was to ${work} the log has failed`);
  return JSON.parse(Buffer.concat(chunks).toString()) as Measured;
};

export const archive: Benchmark = {
  name: 'archive',
  title: 'Archiving a log into a folder and rebuilding its instance, against a log of a part of its size',
  async run(environment) {
    const { few, many } = sizes[environment.extent.scale];
    const small = await filled(environment, 'archived-few', few);
    const large = await filled(environment, 'archived-many', environment.extent.events ?? many);

    /** Into an empty folder, from the beginning. */
    const beginArchive = async (subject: Subject): Promise<void> => {
      if (subject.archiveFolder) await rm(subject.archiveFolder, { recursive: true });
      subject.archiveFolder = await mkdtemp(join(environment.folder, 'archive-'));
      await environment.admin
        .db(instanceDatabase(subject.at.instance))
        .collection<{ _id: string }>('tails')
        .deleteOne({ _id: archiveTail });
    };
    const lose = async ({ at: { instance, origin } }: Subject): Promise<void> => {
      const { admin, passwords } = environment;
      await loseInstance(admin, instance, origin);
      // It leaves the users with the passwords of the tests.
      await provisionDatabase(admin, { instances: [instance], passwords });
    };
    const contender = (subject: Subject, work: ArchiveOrder['work'], bars?: Contender['bars']): Contender => ({
      name: `${subject.entries.toLocaleString('en-US')} entries`,
      ...(bars && { bars }),
      prepare: () => (work === 'archive' ? beginArchive(subject) : lose(subject)),
      measure: () => inProcess(environment, subject, work),
    });
    const contest = (title: string, work: ArchiveOrder['work']) =>
      holdContest(
        {
          title,
          metrics,
          make: () => undefined,
          baseline: contender(small, work),
          subjects: [contender(large, work, { peakMiB: { atMost: 1.2 } })],
        },
        environment.extent,
      );
    const comparisons = [
      ...(await contest('archived into a folder', 'archive')),
      ...(await contest('rebuilt, with its index and tiles', 'rebuild')),
    ];
    for (const { at, archiveFolder } of [small, large]) {
      await at.close();
      await rm(archiveFolder, { recursive: true });
    }
    return { comparisons, conditions: { few: small.entries, many: large.entries } };
  },
};
