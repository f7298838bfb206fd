/** The platform's own checks of the log: what they found, another one, and the repair of what can be made again. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CliCommand, CommandContext, Flags } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit.ts';
import { printJson } from '../print.ts';

const checkFields = `kind correlationId outcome incomplete ended index entries repairable
  differences { kind place index count message }`;
const progressFields = 'kind correlationId stage entries size differences';

const statusDocument = `query SelfVerification {
  selfVerification {
    sample { ${checkFields} }
    full { ${checkFields} }
    overdue
    running { ${progressFields} }
    repair { correlationId stage rows tiles emitters }
  }
}`;
const startDocument = `mutation StartSelfVerification($kind: SelfCheckKind!) {
  startSelfVerification(kind: $kind) { ${progressFields} }
}`;
const repairDocument = `mutation RepairProjections {
  repairProjections { correlationId stage rows tiles emitters }
}`;

interface Check {
  readonly kind: 'sample' | 'full';
  readonly correlationId: string;
  readonly outcome: string;
  readonly incomplete: boolean;
  readonly ended: string;
  readonly index: number;
  readonly entries: number;
  readonly repairable: boolean;
  readonly differences: readonly { readonly count: number; readonly message: string }[];
}
interface Progress {
  readonly kind: string;
  readonly correlationId: string;
  readonly stage: string;
  readonly entries: number;
  readonly size: number;
  readonly differences: number;
}
interface Repair {
  readonly correlationId: string;
  readonly stage: string;
  readonly rows: number;
  readonly tiles: number;
  readonly emitters: number;
}
interface Status {
  readonly sample: Check | null;
  readonly full: Check | null;
  readonly overdue: readonly string[];
  readonly running: readonly Progress[];
  readonly repair: Repair | null;
}

interface SelfCheckFlags extends Flags {
  readonly run?: 'sample' | 'full';
  readonly repair?: boolean;
}

const pollMs = 500;

export const selfcheck: CliCommand<SelfCheckFlags> = {
  usage: 'selfcheck',
  summary: 'what the platform found when it checked its own log, or check it now, or mend its projections',
  help: `Without a flag it shows the latest checks. --run checks now and waits for the result; Ctrl-C ends the waiting, not
the check. --repair makes index, tiles and emitters what the record says; the record is only read.
Exit code 0 where the latest checks found no difference and none is overdue, 1 otherwise.

  npx trailkeeper selfcheck --as acme/auditor
  npx trailkeeper selfcheck --run full --as acme/auditor
  npx trailkeeper selfcheck --repair --as acme/responder`,
  documents: [statusDocument, startDocument, repairDocument],
  options: (command) =>
    command
      .option('--run <kind>', 'check now: sample or full', (value: string) => {
        if (value !== 'sample' && value !== 'full') throw new Error('--run takes sample or full');
        return value;
      })
      .option('--repair', 'mend the projections'),
  async run(_args, flags, context) {
    if (flags.repair) return repair(flags, context);
    const client = context.client();
    if (flags.run) return check(flags.run, flags, context);
    const { selfVerification } = await client.ask<{ selfVerification: Status }>(statusDocument);
    if (flags.json) printJson(context, selfVerification);
    else printStatus(selfVerification, context);
    return verdict(selfVerification);
  },
};

const verdict = ({ sample, full, overdue }: Status): ExitCode => {
  const bad = [sample, full].some((one) => one !== null && one.outcome !== 'success');
  return bad || overdue.length > 0 ? exitCodes.negative : exitCodes.ok;
};

const printStatus = (status: Status, context: CommandContext): void => {
  for (const kind of ['sample', 'full'] as const) {
    const found = status[kind];
    if (found) printCheck(found, context);
    else context.out(`${kind}: none has ended yet`);
  }
  for (const kind of status.overdue) context.out(`${kind}: OVERDUE: no check has ended for too long`);
  for (const running of status.running) context.note(progressLine(running));
  if (status.repair) context.note(`a repair goes on: ${status.repair.stage}`);
};

const printCheck = ({ kind, incomplete, differences, ...found }: Check, { out }: CommandContext): void => {
  const word = differences.length > 0 ? 'DIFFERENCES' : incomplete ? 'not all could be looked at' : 'no difference';
  out(`${kind}: ${word}; ${found.entries} entries, ended ${found.ended}, recorded as #${found.index}`);
  for (const { message, count } of differences) out(`  ${message}${count > 1 ? ` (the first of ${count})` : ''}`);
  if (found.repairable) out('  the projections can be mended: selfcheck --repair');
};

const progressLine = ({ kind, stage, entries, size, differences }: Progress): string =>
  `${kind}: ${stage}, ${entries} entries looked at of a log of ${size}, ${differences} differences so far`;

const check = async (kind: 'sample' | 'full', flags: Flags, context: CommandContext): Promise<ExitCode> => {
  const client = context.client();
  const { startSelfVerification: begun } = await client.ask<{ startSelfVerification: Progress }>(startDocument, {
    kind,
  });
  let said = '';
  for (;;) {
    const { selfVerification } = await client.ask<{ selfVerification: Status }>(statusDocument);
    const { sample, full, running } = selfVerification;
    const ended = [sample, full].find((one) => one?.correlationId === begun.correlationId);
    if (ended) {
      if (flags.json) printJson(context, ended);
      else printCheck(ended, context);
      return ended.outcome === 'success' ? exitCodes.ok : exitCodes.negative;
    }
    const now = running.find(({ correlationId }) => correlationId === begun.correlationId);
    const line = now ? progressLine(now) : said;
    if (line !== said) context.note(line);
    said = line;
    await delay(pollMs, undefined, { signal: context.signal });
  }
};

const repair = async (flags: Flags, context: CommandContext): Promise<ExitCode> => {
  const client = context.client();
  const { repairProjections: begun } = await client.ask<{ repairProjections: Repair }>(repairDocument);
  for (let last = begun; ;) {
    const { selfVerification } = await client.ask<{ selfVerification: Status }>(statusDocument);
    const now = selfVerification.repair;
    if (now) {
      last = now;
      await delay(pollMs, undefined, { signal: context.signal });
      continue;
    }
    if (flags.json) printJson(context, last);
    else context.out(`mended; it is recorded under the correlation id ${begun.correlationId}`);
    return exitCodes.ok;
  }
};
