import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Client } from '../client.ts';
import type { CliCommand, CommandContext, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { behindText, eventLine, eventLineFields, printJson, type EventLine } from '../print.ts';

/** Everything that an entry says; payload only where it is asked for. */
const allFields = `index id correlationId spanId parentSpanId causedBy runId sessionId emitter { id sequence }
  eventTime eventTimeOriginal receivedTime provenance flags actor { principal kind runtime } onBehalfOf delegation
  action phase outcome attempt system endpoint resource { kind urn } channel { kind urn } fields count
  batch { parent position size } error { code httpStatus retryAfterMs } retentionClass purpose
  credential { id version } runbook versions { agentBuild model promptDigest connector mapping } parametersDigest
  authorization { about result policySet policyVersion policies controlEpoch approvalRequired }
  basis { decisions approval } control subjects`;
const skeletonParts = 'parts { name subject sizeBytes commitments }';
const payloadParts = 'parts { name subject sizeBytes commitments state content }';

const pageOf = (fields: string) => `query Events($filter: EventFilter, $first: Int, $after: String) {
  events(filter: $filter, first: $first, after: $after) {
    edges { cursor node { ${fields} } }
    pageInfo { hasNextPage endCursor }
    behind
  }
}`;
const streamOf = (fields: string) => `subscription Events($filter: EventFilter, $after: String) {
  events(filter: $filter, after: $after) { cursor node { ${fields} } }
}`;
const oneOf = (fields: string) => `query Event($id: EventId!) { event(id: $id) { ${fields} } }`;

const shapes = {
  lines: eventLineFields,
  skeletons: `${allFields} ${skeletonParts}`,
  payloads: `${allFields} ${payloadParts}`,
} as const;

interface EventsFlags extends Flags {
  readonly follow?: boolean;
  readonly payloads?: boolean;
  readonly id?: string;
  readonly index?: string;
  readonly limit: string;
  readonly correlation?: string;
  readonly run?: string;
  readonly principal?: string;
  readonly action?: string[];
  readonly phase?: string[];
  readonly outcome?: string[];
  readonly system?: string[];
  readonly emitter?: string;
  readonly since?: string;
  readonly until?: string;
}

interface Edge {
  readonly cursor: string;
  readonly node: EventLine;
}

const pageSize = 200;
const reconnectMs = 2000;

export const events: CliCommand<EventsFlags> = {
  usage: 'events',
  summary: 'list events of the log, or follow them as they are appended',
  help: `Without --follow the oldest matches come first, --limit of them. With --follow it begins with what is appended
from now on, goes on until Ctrl-C, and takes up again where it was after a lost connection. --json prints one event a
line. --payloads reads content, which is recorded.

  npx trailkeeper events --follow --system salesforce --as acme/auditor
  npx trailkeeper events --index 42 --payloads --json --as acme/auditor`,
  documents: Object.values(shapes).flatMap((fields) => [pageOf(fields), streamOf(fields), oneOf(fields)]),
  options(command: Command) {
    const list = (value: string, before: string[] = []) => [...before, ...value.split(',')];
    command
      .option('--follow', 'go on with what is appended')
      .option('--payloads', 'with content, where the role may see it')
      .option('--id <event>', 'the event with this id')
      .option('--index <n>', 'the event at this place in the log')
      .option('--limit <n>', 'at most so many', '100')
      .option('--correlation <id>', 'of this correlation id')
      .option('--run <id>', 'of this run')
      .option('--principal <name>', 'by this principal')
      .option('--action <names>', 'of these actions, separated by commas', list)
      .option('--phase <names>', 'in these phases', list)
      .option('--outcome <names>', 'with these outcomes', list)
      .option('--system <names>', 'in these systems', list)
      .option('--emitter <id>', 'of this emitter')
      .option('--since <time>', 'received from this time on (RFC 3339 with an offset)')
      .option('--until <time>', 'received before this time');
  },
  async run(_args, flags, context) {
    const client = context.client();
    const fields = flags.payloads ? shapes.payloads : flags.json ? shapes.skeletons : shapes.lines;
    if (flags.id !== undefined) {
      const { event } = await client.ask<{ event: EventLine }>(oneOf(fields), { id: flags.id });
      if (flags.json || flags.payloads) printJson(context, event);
      else context.out(eventLine(event));
      return exitCodes.ok;
    }
    const print = printer(flags, context);
    const filter = filterOf(flags);
    if (flags.follow) await follow(client, streamOf(fields), filter, print, context);
    else await list(client, pageOf(fields), filter, flags, print, context);
    return exitCodes.ok;
  },
};

const printer =
  ({ json, payloads }: EventsFlags, { out }: CommandContext) =>
  (event: EventLine) =>
    out(json || payloads ? JSON.stringify(event) : eventLine(event));

const filterOf = (flags: EventsFlags): object => ({
  correlationId: flags.correlation,
  runId: flags.run,
  principal: flags.principal,
  action: flags.action,
  phase: flags.phase,
  outcome: flags.outcome,
  system: flags.system,
  emitter: flags.emitter,
  receivedTimeFrom: flags.since,
  receivedTimeBefore: flags.until,
});

interface Page {
  readonly events: {
    readonly edges: readonly Edge[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
    readonly behind: number;
  };
}

const list = async (
  client: Client,
  document: string,
  filter: object,
  flags: EventsFlags,
  print: (event: EventLine) => void,
  { note }: CommandContext,
): Promise<void> => {
  const place = flags.index === undefined ? undefined : count(flags.index, '--index');
  let left = place === undefined ? count(flags.limit, '--limit') : 1;
  // A cursor stands for the place before which nothing more is asked.
  let after: string | null =
    place === undefined || place === 0 ? null : Buffer.from(`i${place - 1}`).toString('base64url');
  while (left > 0) {
    const variables = { filter, first: Math.min(pageSize, left), after };
    const { events: page } = await client.ask<Page>(document, variables);
    for (const { node } of page.edges) print(node);
    left -= page.edges.length;
    after = page.pageInfo.endCursor;
    if (!page.pageInfo.hasNextPage) {
      if (page.behind > 0) note(behindText(page.behind));
      return;
    }
  }
};

const count = (text: string, name: string): number => {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new CliError(exitCodes.usage, `${name} is a number from 0 on`);
  return number;
};

const follow = async (
  client: Client,
  document: string,
  filter: object,
  print: (event: EventLine) => void,
  { signal, note }: CommandContext,
): Promise<void> => {
  let after: string | null = null;
  while (!signal.aborted) {
    try {
      for await (const { events: edge } of client.follow<{ events: Edge }>(document, { filter, after }, signal)) {
        print(edge.node);
        after = edge.cursor;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof CliError && error.exit !== exitCodes.unavailable) throw error;
      if (after === null) throw error;
      note('the connection is lost; trying again');
    }
    await delay(reconnectMs, undefined, { signal }).catch(() => undefined);
  }
};
