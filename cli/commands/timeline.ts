import type { CliCommand, CommandContext, Flags } from '../command.ts';
import { exitCodes } from '../exit.ts';
import { behindText, counted, duration, eventLine, eventLineFields, printJson, type EventLine } from '../print.ts';

const document = `query Timeline($id: CorrelationId!, $folded: Boolean) {
  timeline(correlationId: $id, folded: $folded) {
    correlationId
    rows {
      event { ${eventLineFields} }
      parent depth eventTime receivedTime correctedTime foldedUnder flags
      bulk { size present outcomes { outcome count } errors { code count } }
    }
    emitters { emitter skewMs count }
    problems { kind details }
    truncated
    behind
  }
}`;

interface Row {
  readonly event: EventLine;
  readonly depth: number;
  readonly receivedTime: string;
  readonly eventTime: string;
  readonly flags: readonly string[];
  readonly bulk: {
    readonly size: number;
    readonly present: number;
    readonly outcomes: readonly { readonly outcome: string; readonly count: number }[];
  } | null;
}

interface Answer {
  readonly timeline: {
    readonly rows: readonly Row[];
    readonly emitters: readonly { readonly emitter: string; readonly skewMs: number; readonly count: number }[];
    readonly problems: readonly { readonly kind: string; readonly details: object }[];
    readonly truncated: boolean;
    readonly behind: number;
  };
}

interface TimelineFlags extends Flags {
  readonly all?: boolean;
}

/** From this difference on, skew is worth a line. */
const shownSkewMs = 1000;
/** From fewer, one that was reported late looks like a clock that is behind. */
const shownSkewEntries = 3;

export const timeline: CliCommand<TimelineFlags> = {
  usage: 'timeline <correlationId>',
  summary: 'show the whole chain of one correlation id in causal order',
  help: `Objects of bulk actions are summed up in one line; --all shows each.
Exit code 3 where the instance has no event of the correlation id.

  npx trailkeeper timeline <correlation id> --as acme/auditor`,
  documents: [document],
  options: (command) => command.option('--all', 'one line for each object of a bulk action'),
  async run([id], flags, context) {
    const answer = await context.client().ask<Answer>(document, { id, folded: !flags.all });
    if (flags.json) printJson(context, answer.timeline);
    else print(answer.timeline, context);
    return exitCodes.ok;
  },
};

const print = ({ rows, emitters, problems, truncated, behind }: Answer['timeline'], { out, note }: CommandContext) => {
  for (const row of rows) out(`${'  '.repeat(row.depth)}${eventLine(row.event)}${bulkText(row)}${flagText(row)}`);
  for (const { emitter, skewMs, count } of emitters)
    if (count >= shownSkewEntries && Math.abs(skewMs) >= shownSkewMs)
      out(`clock of ${emitter}: ${duration(skewMs)} behind ours (from ${counted(count, 'entry', 'entries')})`);
  for (const { kind, details } of problems) out(`problem: ${kind} ${JSON.stringify(details)}`);
  if (truncated) note('the chain is longer than one answer holds; "events --correlation" has the rest');
  if (behind > 0) note(behindText(behind));
};

const bulkText = ({ bulk }: Row): string => {
  if (!bulk) return '';
  const outcomes = bulk.outcomes.map(({ outcome, count }) => `${count} ${outcome}`).join(', ');
  return ` [${bulk.present} of ${counted(bulk.size, 'object')}${outcomes ? `: ${outcomes}` : ''}]`;
};

const flagText = ({ flags }: Row): string => (flags.length === 0 ? '' : ` (${flags.join(', ')})`);
