/** Rebuilding from the archive, and letting the log go on afterwards. */
import { collect } from '../collect.ts';
import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';
import { runRecovery } from '../recovery.ts';
import { recoveryFlags } from './archive.ts';

const continueDocument = `mutation ContinueLog($input: ContinueLogInput!) {
  continueLog(input: $input) { continued approvedBy origin index }
}`;

interface Continuation {
  readonly continued: boolean;
  readonly approvedBy: readonly string[];
  readonly origin: string | null;
  readonly index: number | null;
}

interface RebuildFlags extends Flags {
  readonly size?: string;
  readonly reason?: string;
  readonly instance?: string[];
  readonly keyFile?: string[];
  readonly checkpoint?: string[];
}

export const rebuild: CliCommand<RebuildFlags> = {
  usage: 'rebuild [approve]',
  summary: 'rebuild instances from their archives into an empty MongoDB; approve that a rebuilt log goes on',
  help: `"npx trailkeeper rebuild" runs on the installation's own machine, with its settings, while API and worker are stopped.
Everything is verified on the way; what was younger than the archive is named by --checkpoint, by what survived, or not at
all. An interrupted rebuild goes on where it was. Afterwards each log is closed: "approve", by two people with the role admin or
compliance, lets it go on under a new origin and key. Exit code 1 where the archive does not hold, 3 where something is in the way.

  npx trailkeeper rebuild approve --size 4711 --reason "restored after the loss of the data centre" --as acme/admin`,
  documents: [continueDocument],
  options: (command) =>
    command
      .option('--size <entries>', 'for approve: the number of entries that were restored')
      .option('--reason <text>', 'for approve: why')
      .option(
        '--instance <name>',
        'an instance; may be repeated; by default all that the folder of archives holds',
        collect,
      )
      .option('--key-file <file>', "file with the logs' verifier keys, one a line; may be repeated", collect)
      .option('--checkpoint <file>', 'signed checkpoint kept elsewhere; may be repeated', collect),
  async run([what], flags, context) {
    if (what === undefined) return runRecovery(['rebuild', ...recoveryFlags(flags)], context);
    if (what !== 'approve') throw new CliError(exitCodes.usage, `"${what}" is not approve`);
    const size = Number(flags.size);
    if (!Number.isSafeInteger(size) || flags.reason === undefined)
      throw new CliError(exitCodes.usage, 'say what is approved: --size <entries> --reason <text>');
    const { continueLog: result } = await context
      .client()
      .ask<{ continueLog: Continuation }>(continueDocument, { input: { size, reason: flags.reason } });
    if (flags.json) printJson(context, result);
    else if (result.continued) context.out(`the log goes on as ${result.origin}, from #${result.index} on`);
    else context.out(`approved by ${result.approvedBy.join(', ')}; another person has to approve it, too`);
    return exitCodes.ok;
  },
};
