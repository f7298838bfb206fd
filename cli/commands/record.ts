import { readText } from '../connection.ts';
import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';

const document = `mutation RecordEvents($events: [JSONObject!]!) {
  recordEvents(events: $events) { status receipt { id index leafHash checkpoint } refusal { code message } }
}`;

interface Result {
  readonly status: 'accepted' | 'duplicate' | 'refused';
  readonly receipt: { readonly id: string; readonly index: number } | null;
  readonly refusal: { readonly code: string; readonly message: string } | null;
}

export const record: CliCommand<Flags> = {
  usage: 'record <file>',
  summary: "record events that an agent's own runtime observed",
  help: `The file is a JSON array of events (docs/event-model.md), at most 1,000; "-" reads standard input.
What was accepted is shown with its place in the log, what was refused with its place in the file, from 1 on.
Exit code 0 where all stand in the log, 3 where any was refused.

  npx trailkeeper record events.json --as acme/agent`,
  documents: [document],
  async run([file], flags, context) {
    const events = parse(file === '-' ? readText('/dev/stdin') : readText(file!));
    const { recordEvents } = await context.client().ask<{ recordEvents: readonly Result[] }>(document, { events });
    if (flags.json) printJson(context, recordEvents);
    else for (const [place, result] of recordEvents.entries()) context.out(resultText(result, place, events[place]));
    return recordEvents.some(({ status }) => status === 'refused') ? exitCodes.refused : exitCodes.ok;
  },
};

const resultText = ({ status, receipt, refusal }: Result, place: number, event: unknown): string => {
  if (!refusal) return `${status} ${receipt?.id} #${receipt?.index}`;
  const { id } = (event ?? {}) as { readonly id?: unknown };
  return `refused #${place + 1} ${typeof id === 'string' ? id : '(no id)'} ${refusal.code}: ${refusal.message}`;
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
