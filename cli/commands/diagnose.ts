import type { CliCommand, Flags } from '../command.ts';
import { exitCodes } from '../exit.ts';
import { behindText, printJson } from '../print.ts';

const document = `query Diagnose($id: CorrelationId!) {
  diagnose(correlationId: $id) {
    correlationId
    verdict { state causes unknown why text first { index id } citations { index id } }
    findings { cause state details citations { index id } }
    statements { kind text details citations { index id } }
    lines
    behind
  }
}`;

interface Answer {
  readonly diagnose: {
    readonly verdict: { readonly state: 'established' | 'undetermined' };
    readonly lines: readonly string[];
    readonly behind: number;
  };
}

export const diagnose: CliCommand<Flags> = {
  usage: 'diagnose <correlationId>',
  summary: 'say what went wrong, and who did it, from the record alone',
  help: `Numbers in brackets are places in the log: "events --index <n>" shows the entry.
Exit code 0 where a cause is established, 1 where none is.

  npx trailkeeper diagnose <correlation id> --as acme/auditor`,
  documents: [document],
  async run([id], flags, context) {
    const { diagnose: diagnosis } = await context.client().ask<Answer>(document, { id });
    if (flags.json) printJson(context, diagnosis);
    else for (const line of diagnosis.lines) context.out(line);
    if (diagnosis.behind > 0) context.note(behindText(diagnosis.behind));
    return diagnosis.verdict.state === 'established' ? exitCodes.ok : exitCodes.negative;
  },
};
