import { createReadStream } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { CliCommand, CommandContext, Flags } from '../command.ts';
import { readText } from '../connection.ts';
import { streamEvents } from '../eventStream.ts';
import { CliError, exitCodes, type ExitCode } from '../exit.ts';
import { printJson } from '../print.ts';

const document = `mutation RecordEvents($events: [JSONObject!]!) {
  recordEvents(events: $events) { status receipt { id index leafHash checkpoint } refusal { code message } }
}`;

interface Result {
  readonly status: 'accepted' | 'duplicate' | 'refused';
  readonly receipt: { readonly id: string; readonly index: number } | null;
  readonly refusal: { readonly code: string; readonly message: string } | null;
}

interface RecordFlags extends Flags {
  readonly ndjson?: boolean;
}

const streamed: ReadonlySet<string> = new Set(['.ndjson', '.jsonl']);

export const record: CliCommand<RecordFlags> = {
  usage: 'record <file>',
  summary: "record events that an agent's own runtime observed",
  help: `The file is a JSON array of events (docs/event-model.md), at most 1,000, or, with --ndjson or where it is named
.ndjson or .jsonl, one event a line, which is streamed (docs/ingest.md); "-" reads standard input.
What was accepted is shown with its place in the log, what was refused with its place in the file, from 1 on.
Exit code 0 where all stand in the log, 3 where any was refused, 4 where not all could be sent: sending it again is safe.

  npx trailkeeper record events.json --as acme/agent
  npx trailkeeper record events.ndjson --as acme/agent`,
  documents: [document],
  options(command: Command) {
    command.option('--ndjson', 'one event a line, whatever the file is called');
  },
  async run([file], flags, context) {
    if (flags.ndjson || streamed.has(extname(file!))) return recordStream(file!, flags, context);
    const events = parse(file === '-' ? readText('/dev/stdin') : readText(file!));
    const { recordEvents } = await context.client().ask<{ recordEvents: readonly Result[] }>(document, { events });
    if (flags.json) printJson(context, recordEvents);
    else
      for (const [place, result] of recordEvents.entries())
        context.out(resultText(result, place + 1, idOf(events[place])));
    return recordEvents.some(({ status }) => status === 'refused') ? exitCodes.refused : exitCodes.ok;
  },
};

const recordStream = async (file: string, flags: RecordFlags, context: CommandContext): Promise<ExitCode> => {
  const { connection } = context.client();
  // Opened last: a file that is not there says so to nobody before the sending listens.
  const body = createReadStream(file === '-' ? '/dev/stdin' : resolve(context.cwd, file));
  const { summary, error } = await streamEvents(connection, body, (answer, text) =>
    context.out(flags.json ? text : resultText(answer, answer.line, '')),
  );
  const { answered, accepted, duplicate, refused } = summary;
  context.note(`${answered} answered: ${accepted} accepted, ${duplicate} there already, ${refused} refused`);
  if (error)
    throw new CliError(
      error.retryable ? exitCodes.unavailable : exitCodes.refused,
      `${error.code}: ${error.message}`,
      error.code,
    );
  return refused > 0 ? exitCodes.refused : exitCodes.ok;
};

const resultText = ({ status, receipt, refusal }: Result, place: number, id: string): string =>
  refusal
    ? `refused #${place} ${id}${refusal.code}: ${refusal.message}`
    : `${status} ${receipt?.id} #${receipt?.index}`;

const idOf = (event: unknown): string => {
  const { id } = (event ?? {}) as { readonly id?: unknown };
  return `${typeof id === 'string' ? id : '(no id)'} `;
};

const parse = (text: string): readonly unknown[] => {
  try {
    const events: unknown = JSON.parse(text);
    if (Array.isArray(events)) return events;
  } catch {
    // Said below.
  }
  throw new CliError(exitCodes.usage, 'the events are no JSON array');
};
