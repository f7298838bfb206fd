/** Verifies archives, one instance after the other, and says what it found. */
import { verifyArchive, type ArchiveReport } from '../../trail/archive/verify.ts';
import { archivesOf } from '../archiving.ts';
import type { Config } from '../config.ts';
import { trustIn, type RecoveryArguments } from './arguments.ts';

export interface Telling {
  /** The answer, line by line. */
  readonly out: (line: string) => void;
  /** Progress and warnings. */
  readonly note: (line: string) => void;
}

/** True where all of them hold. */
export const verifyArchives = async (
  config: Config,
  { instances, keys, kept, json }: RecoveryArguments,
  { out, note }: Telling,
): Promise<boolean> => {
  const archiveOf = archivesOf(config.archive);
  let good = true;
  for (const instance of instances) {
    const trust = await trustIn(config, instance, keys, note);
    const report = await verifyArchive(await archiveOf(instance), {
      trust,
      kept,
      progress: (entries, of) => note(`${instance}: ${entries} of ${of} entries`),
    });
    good &&= report.outcome === 'verified';
    if (json) out(JSON.stringify({ instance, ...report }));
    else for (const line of linesOf(instance, report)) out(line);
  }
  return good;
};

const linesOf = (instance: string, report: ArchiveReport): string[] => [
  ...report.younger.map(
    (size) => `${instance}: younger than the archive: the entries from ${report.size} to ${size - 1}`,
  ),
  ...report.problems.map(({ kind, message }) => `${instance}: ${kind}: ${message}`),
  report.outcome === 'verified'
    ? `${instance}: verified: origin=${report.origin} size=${report.size} root=${report.root} objects=${report.objects}`
    : `${instance}: refuted: ${report.entriesChecked} of ${report.size} entries hold (${report.place})`,
];
