/** The archive of the instance: how far it is, what is demanded of it, and whether it holds. */
import { collect } from '../collect.ts';
import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';
import { runRecovery } from '../recovery.ts';

const fields = 'size behind lagMs acknowledge lagMsMax closed { origin size knownSize approvedBy }';
const stateDocument = `query Archive { archive { ${fields} } }`;
const configureDocument = `mutation ConfigureArchive($input: ConfigureArchiveInput!) {
  configureArchive(input: $input) { ${fields} }
}`;

interface State {
  readonly size: number;
  readonly behind: number;
  readonly lagMs: number;
  readonly acknowledge: 'LOG' | 'ARCHIVE';
  readonly lagMsMax: number | null;
  readonly closed: {
    readonly origin: string;
    readonly size: number;
    readonly knownSize: number | null;
    readonly approvedBy: readonly string[];
  } | null;
}

interface ArchiveFlags extends Flags {
  readonly acknowledge?: string;
  readonly lagMsMax?: string;
  readonly instance?: string[];
  readonly keyFile?: string[];
  readonly checkpoint?: string[];
}

const linesOf = ({ size, behind, lagMs, acknowledge, lagMsMax, closed }: State): string[] => [
  `${size} entries are in the archive${behind > 0 ? `; ${behind} are not, the first for ${Math.round(lagMs / 1000)} s` : ''}`,
  `a receipt leaves when the ${acknowledge === 'ARCHIVE' ? 'archive' : 'log'} holds its entry` +
    (lagMsMax === null ? '' : `; an alarm is raised from a lag of ${lagMsMax / 1000} s on`),
  ...(closed
    ? [
        `CLOSED: restored up to ${closed.size} entries; ` +
          (closed.knownSize === null ? 'none beyond is known' : `those up to ${closed.knownSize - 1} are lost`) +
          `; approved by ${closed.approvedBy.join(', ') || 'nobody'} of two`,
      ]
    : []),
];

export const archive: CliCommand<ArchiveFlags> = {
  usage: 'archive [what]',
  summary: "show the instance's archive; configure it; verify archives (on the installation's own machine)",
  help: `Without more: how far the archive is. "configure" says whether receipts wait for it, and from which lag on an alarm is
raised. "verify" reads every object of the archives that TRAILKEEPER_ARCHIVE names, without the API: exit code 0 where they hold,
1 where not; each bad object is named. Give it keys and checkpoints that were kept elsewhere.

  npx trailkeeper archive --as acme/auditor
  npx trailkeeper archive configure --acknowledge archive --lag-ms-max 60000 --as acme/admin

npx trailkeeper archive verify --instance acme --key-file acme.vkey --checkpoint kept-in-march`,
  documents: [stateDocument, configureDocument],
  options: (command) =>
    command
      .option('--acknowledge <what>', 'for configure: when receipts leave, "log" or "archive"')
      .option('--lag-ms-max <ms>', 'for configure: the lag from which on an alarm is raised')
      .option('--instance <name>', 'for verify: an instance; may be repeated', collect)
      .option(
        '--key-file <file>',
        "for verify: file with the logs' verifier keys, one a line; may be repeated",
        collect,
      )
      .option('--checkpoint <file>', 'for verify: signed checkpoint kept elsewhere; may be repeated', collect),
  async run([what], flags, context) {
    switch (what) {
      case undefined: {
        const { archive: state } = await context.client().ask<{ archive: State }>(stateDocument);
        if (flags.json) printJson(context, state);
        else for (const line of linesOf(state)) context.out(line);
        return state.closed ? exitCodes.negative : exitCodes.ok;
      }
      case 'configure': {
        const acknowledge = flags.acknowledge?.toUpperCase();
        const lagMsMax = Number(flags.lagMsMax);
        if ((acknowledge !== 'LOG' && acknowledge !== 'ARCHIVE') || !Number.isInteger(lagMsMax))
          throw new CliError(exitCodes.usage, 'say --acknowledge log|archive and --lag-ms-max <ms>');
        const { configureArchive: state } = await context
          .client()
          .ask<{ configureArchive: State }>(configureDocument, { input: { acknowledge, lagMsMax } });
        if (flags.json) printJson(context, state);
        else for (const line of linesOf(state)) context.out(line);
        return exitCodes.ok;
      }
      case 'verify':
        return runRecovery(['verify', ...recoveryFlags(flags)], context);
      default:
        throw new CliError(exitCodes.usage, `"${what}" is neither configure nor verify`);
    }
  },
};

/** As the process takes them that works on the archives. */
export const recoveryFlags = ({
  instance = [],
  keyFile = [],
  checkpoint = [],
  json,
}: Pick<ArchiveFlags, 'instance' | 'keyFile' | 'checkpoint' | 'json'>): string[] => [
  ...instance.flatMap((name) => ['--instance', name]),
  ...keyFile.flatMap((path) => ['--key-file', path]),
  ...checkpoint.flatMap((path) => ['--checkpoint', path]),
  ...(json ? ['--json'] : []),
];
