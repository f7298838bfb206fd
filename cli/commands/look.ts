/** Smaller looks at the record. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';

const gapsDocument = `query Gaps($emitter: String, $after: String) {
  gaps(emitter: $emitter, first: 100, after: $after) {
    emitters { emitter high missing { from to } truncated { from to } }
    next
    behind
  }
}`;

interface Range {
  readonly from: number;
  readonly to: number;
}
interface Gap {
  readonly emitter: string;
  readonly high: number;
  readonly missing: readonly Range[];
  readonly truncated: Range | null;
}

interface GapsFlags extends Flags {
  readonly emitter?: string;
}

const rangeText = ({ from, to }: Range): string => (from === to ? String(from) : `${from}-${to}`);

export const gaps: CliCommand<GapsFlags> = {
  usage: 'gaps',
  summary: 'name the sequence numbers that are missing, by emitter',
  help: `Exit code 0 where nothing is missing, 1 where something is.

  npx trailkeeper gaps --as acme/auditor`,
  documents: [gapsDocument],
  options: (command) => command.option('--emitter <id>', 'of this emitter only'),
  async run(_args, { emitter, json }, context) {
    const client = context.client();
    const found: Gap[] = [];
    for (let after: string | null = null; ;) {
      const { gaps: page }: { gaps: { emitters: readonly Gap[]; next: string | null } } = await client.ask(
        gapsDocument,
        {
          emitter,
          after,
        },
      );
      found.push(...page.emitters);
      after = page.next;
      if (after === null) break;
    }
    if (json) printJson(context, found);
    else if (found.length === 0) context.note('no gaps');
    else
      for (const { emitter: name, high, missing, truncated } of found)
        context.out(
          `${name}: ${missing.map(rangeText).join(', ') || 'nothing missing'} (of ${high})${truncated ? `, and more in ${rangeText(truncated)}` : ''}`,
        );
    return found.some(({ missing, truncated }) => missing.length > 0 || truncated) ? exitCodes.negative : exitCodes.ok;
  },
};

const correlateDocument = `query Correlate($system: System!, $id: String!, $kind: String) {
  correlate(system: $system, externalId: $id, kind: $kind) { correlationIds behind }
}`;

interface CorrelateFlags extends Flags {
  readonly kind?: string;
}

export const correlate: CliCommand<CorrelateFlags> = {
  usage: 'correlate <system> <externalId>',
  summary: 'find the runs that touched a thing in a target system',
  help: `Exit code 0 where there are any, 1 where there are none.

  npx trailkeeper correlate salesforce 003Tk0000000001IAA --as acme/responder`,
  documents: [correlateDocument],
  options: (command) => command.option('--kind <kind>', 'for example Contact'),
  async run([system, id], { kind, json }, context) {
    const answer = await context
      .client()
      .ask<{ correlate: { correlationIds: readonly string[] } }>(correlateDocument, { system, id, kind });
    const { correlationIds } = answer.correlate;
    if (json) printJson(context, answer.correlate);
    else if (correlationIds.length === 0) context.note('nothing found');
    else for (const correlationId of correlationIds) context.out(correlationId);
    return correlationIds.length > 0 ? exitCodes.ok : exitCodes.negative;
  },
};

const discloseDocument = `mutation Disclose($event: EventId!, $part: String!) {
  disclose(event: $event, part: $part) {
    event part state
    chunks { commitment salt plaintext }
    proof { index size entry leafHash hashes checkpoint tlogProof }
  }
}`;

export const disclose: CliCommand<Flags> = {
  usage: 'disclose <event> <part>',
  summary: 'hand out one payload part with all that an outsider needs to check it',
  help: `Prints JSON: salt and plaintext of each chunk, the entry, and the proof. It is recorded.
Exit code 1 where the content was erased.

  npx trailkeeper disclose <event id> after --as acme/compliance > disclosure.json`,
  documents: [discloseDocument],
  async run([event, part], _flags, context) {
    const answer = await context.client().ask<{ disclose: { state: string } }>(discloseDocument, { event, part });
    printJson(context, answer.disclose);
    return answer.disclose.state === 'present' ? exitCodes.ok : exitCodes.negative;
  },
};

const checkpointDocument = `query Checkpoint { checkpoint { origin size root note vkey logUrl } }`;

export const checkpoint: CliCommand<Flags> = {
  usage: 'checkpoint',
  summary: 'print the latest signed checkpoint, to be kept elsewhere',
  help: `What was kept is what shows a rollback later: verify --old-checkpoint.

  npx trailkeeper checkpoint --as acme/auditor > kept-checkpoint`,
  documents: [checkpointDocument],
  async run(_args, flags, context) {
    const answer = await context.client().ask<{ checkpoint: { note: string } }>(checkpointDocument);
    if (flags.json) printJson(context, answer.checkpoint);
    else context.out(answer.checkpoint.note.trimEnd());
    return exitCodes.ok;
  },
};

const inclusionDocument = `query Inclusion($index: LogIndex, $event: EventId, $size: LogIndex) {
  inclusionProof(index: $index, event: $event, size: $size) {
    index size entry leafHash hashes checkpoint tlogProof
  }
}`;
const consistencyDocument = `query Consistency($from: LogIndex!, $to: LogIndex) {
  consistencyProof(from: $from, to: $to) { from to hashes }
}`;

interface ProveFlags extends Flags {
  readonly index?: string;
  readonly event?: string;
  readonly size?: string;
  readonly from?: string;
  readonly to?: string;
  readonly out?: string;
}

const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));

export const prove: CliCommand<ProveFlags> = {
  usage: 'prove',
  summary: 'print a proof of inclusion (c2sp.org/tlog-proof) or of consistency',
  help: `The proof holds the checkpoint with the cosignatures of its witnesses. --out writes it to <name>.tlog-proof and the entry,
byte by byte as it is hashed, to <name>.json: "check-proof" and other tools check the two without a network.

  npx trailkeeper prove --event <id> --out entry --as acme/auditor
  npx trailkeeper prove --from 100 --json --as acme/auditor`,
  documents: [inclusionDocument, consistencyDocument],
  options: (command) =>
    command
      .option('--event <id>', 'that this event is in the log')
      .option('--index <n>', 'that the entry at this place is in the log')
      .option('--size <n>', 'in the log of so many entries; by default the latest')
      .option('--from <n>', 'that the log of so many entries is a beginning of')
      .option('--to <n>', 'the log of so many; by default the latest')
      .option('--out <name>', 'write proof and entry to files of this name'),
  async run(_args, flags, context) {
    const client = context.client();
    if (flags.from !== undefined) {
      const variables = { from: number(flags.from), to: number(flags.to) };
      printJson(
        context,
        (await client.ask<{ consistencyProof: object }>(consistencyDocument, variables)).consistencyProof,
      );
      return exitCodes.ok;
    }
    const variables = { index: number(flags.index), event: flags.event, size: number(flags.size) };
    const { inclusionProof } = await client.ask<{
      inclusionProof: { readonly tlogProof: string | null; readonly entry: string };
    }>(inclusionDocument, variables);
    const { tlogProof, entry } = inclusionProof;
    if (flags.out !== undefined) {
      if (tlogProof === null) throw new CliError(exitCodes.refused, 'there is no checkpoint of this size');
      const name = resolve(context.cwd, flags.out);
      writeFileSync(`${name}.tlog-proof`, tlogProof);
      writeFileSync(`${name}.json`, Buffer.from(entry, 'base64'));
      context.note(`written: ${name}.tlog-proof and ${name}.json`);
    } else if (flags.json || inclusionProof.tlogProof === null) printJson(context, inclusionProof);
    else context.out(inclusionProof.tlogProof.trimEnd());
    return exitCodes.ok;
  },
};
