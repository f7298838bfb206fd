import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { collect } from '../collect.ts';
import { describeProblem, type VerificationReport } from '../../domain/verify/report.ts';
import type { CliCommand, CommandContext } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { folderFiles, httpFiles, type LogFiles } from '../log/source.ts';
import { missingQuorum, quorumOf } from '../log/quorum.ts';
import { keyHint, keysFrom, type KeyFlags } from '../log/keys.ts';
import { verifyFiles } from '../log/verifyFiles.ts';
import { printJson } from '../print.ts';
import { logUrl, logUrlDocument } from './logUrl.ts';

interface VerifyFlags extends KeyFlags {
  readonly dir?: string;
  readonly log?: string;
  readonly oldCheckpoint?: string[];
  readonly witness?: string[];
  readonly quorum?: string;
  readonly schema: boolean;
  readonly server?: boolean;
}

const selfCheck = `query VerifyLog {
  verifyLog { outcome origin size root entriesChecked problem { kind index message } warnings }
}`;

export const verify: CliCommand<VerifyFlags> = {
  usage: 'verify',
  summary: 'check that a log is unaltered, online or in a folder that was downloaded',
  help: `The key must be known beforehand: --key or --key-file, or the one that the credentials file holds for --as.
The log says nothing about itself that is believed without it. --old-checkpoint names checkpoints that were kept from
earlier: only these show a log that was rolled back or replaced. --witness demands that witnesses cosigned the checkpoint. --server asks the API to check its own log instead.
Exit code 0 where the log holds, 1 where it does not; the first bad index is named, and what is wrong with it.

  npx trailkeeper verify --as acme/auditor
  npx trailkeeper verify --dir ./log --key-file acme.vkey --old-checkpoint kept-in-march`,
  documents: [logUrlDocument, selfCheck],
  options(command: Command) {
    command
      .option('--dir <folder>', 'a log that "download" wrote')
      .option('--log <url>', "the log's URL prefix; by default asked of the API")
      .option(
        '--key <vkey>',
        'verifier key of the log: name+id+base64; may be repeated where it changed its key',
        collect,
      )
      .option('--key-file <file>', 'file that holds it, or them, one a line; may be repeated', collect)
      .option('--old-checkpoint <file>', 'signed checkpoint kept from earlier; may be repeated', collect)
      .option('--witness <vkey>', 'verifier key of a witness that must have cosigned; may be repeated', collect)
      .option('--quorum <k>', 'so many of these witnesses; by default all')
      .option('--no-schema', 'check only that entries are the ones logged, not their schema: faster')
      .option('--server', "let the API check; no substitute for one's own check");
  },
  async run(_args, flags, context) {
    if (flags.server) return serverCheck(flags, context);
    const keys = keysFrom(flags, context);
    const quorum = quorumOf(flags.witness ?? [], flags.quorum);
    const files = keepingCheckpoint(await filesOf(flags, context));
    const report = await verifyFiles(files, {
      keys,
      olderCheckpoints: (flags.oldCheckpoint ?? []).map((path) => read(path, context)),
      schema: flags.schema,
      progress: (entries) => context.note(`${entries} entries read`),
    });
    const missing = quorum && files.checkpoint && missingQuorum(files.checkpoint, quorum);
    if (flags.json) printJson(context, quorum ? { ...report, witnessed: missing === undefined } : report);
    else print(report, context);
    if (report.outcome === 'refuted' && describeProblem(report.problem).includes('no signature by a known key'))
      context.note(keyHint);
    if (missing !== undefined && !flags.json) context.out(`refuted: ${missing}`);
    return report.outcome === 'verified' && missing === undefined ? exitCodes.ok : exitCodes.negative;
  },
};

/** The same files, and the checkpoint that was read: a log that is read while it grows has another one by now. */
const keepingCheckpoint = (files: LogFiles): LogFiles & { readonly checkpoint: Uint8Array | undefined } => {
  let checkpoint: Uint8Array | undefined;
  return {
    place: files.place,
    get checkpoint() {
      return checkpoint;
    },
    async read(path) {
      const bytes = await files.read(path);
      if (path === 'checkpoint') checkpoint = bytes;
      return bytes;
    },
  };
};

const read = (path: string, { cwd }: CommandContext): Uint8Array => {
  try {
    return readFileSync(resolve(cwd, path));
  } catch {
    throw new CliError(exitCodes.usage, `${path} can't be read`);
  }
};

const filesOf = async (flags: VerifyFlags, context: CommandContext): Promise<LogFiles> => {
  if (flags.dir !== undefined) return folderFiles(resolve(context.cwd, flags.dir));
  const client = context.client();
  return httpFiles(flags.log ?? (await logUrl(client)), client.connection.token);
};

const print = (report: VerificationReport, { out }: CommandContext): void => {
  for (const { kind, emitter, ...warning } of report.warnings)
    out(`warning: ${kind} of emitter ${emitter} ${JSON.stringify(warning)}`);
  if (report.outcome === 'verified')
    return out(`verified: origin=${report.origin} size=${report.size} root=${report.root}`);
  const checked = report.entriesChecked;
  const held = checked === 1 ? '1 entry before it holds' : `${checked} entries before it hold`;
  return out(`refuted: ${describeProblem(report.problem)} (${held})`);
};

interface SelfCheck {
  readonly verifyLog: {
    readonly outcome: 'verified' | 'refuted';
    readonly origin: string;
    readonly size: number;
    readonly root: string;
    readonly problem: { readonly message: string } | null;
  };
}

const serverCheck = async (flags: VerifyFlags, context: CommandContext) => {
  const { verifyLog: report } = await context.client().ask<SelfCheck>(selfCheck);
  if (flags.json) printJson(context, report);
  else if (report.problem) context.out(`refuted by the server itself: ${report.problem.message}`);
  else context.out(`verified by the server itself: origin=${report.origin} size=${report.size} root=${report.root}`);
  return report.outcome === 'verified' ? exitCodes.ok : exitCodes.negative;
};
