/** Runs: opened, handed over, closed. */
import type { CliCommand, Flags } from '../command.ts';
import { exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';
import { json } from './jsonInput.ts';

const openRunDocument = `mutation OpenRun($input: OpenRunInput!) {
  openRun(input: $input) { runId correlationId traceparent state }
}`;

interface OpenRunFlags extends Flags {
  readonly id?: string;
  readonly agent?: string;
  readonly purpose: string;
  readonly onBehalfOf?: string;
  readonly session?: string;
  readonly versions?: string;
  readonly actionsMax?: string;
}

export const openRun: CliCommand<OpenRunFlags> = {
  usage: 'open-run',
  summary: 'open a run and print its ids',
  help: `  npx trailkeeper open-run --purpose cleanup --on-behalf-of dana --as acme/agent`,
  documents: [openRunDocument],
  options: (command) =>
    command
      .requiredOption('--purpose <label>', 'why it runs')
      .option('--id <uuid7>', 'makes the call repeatable')
      .option('--agent <principal>', 'the agent that runs; by default the caller')
      .option('--on-behalf-of <principal>', 'the person for whom it acts')
      .option('--session <id>', 'session')
      .option('--versions <json>', 'what is in play: {"model": ..., "promptDigest": ..., "mapping": ...}')
      .option('--actions-max <n>', 'how many actions it may perform'),
  async run(_args, flags, context) {
    const input = {
      id: flags.id,
      agent: flags.agent,
      purpose: flags.purpose,
      onBehalfOf: flags.onBehalfOf,
      sessionId: flags.session,
      versions: flags.versions && json(flags.versions, '--versions'),
      budget: flags.actionsMax && { actionsMax: Number(flags.actionsMax) },
    };
    const answer = await context
      .client()
      .ask<{ openRun: { runId: string; correlationId: string; traceparent: string } }>(openRunDocument, { input });
    const { runId, correlationId, traceparent } = answer.openRun;
    if (flags.json) printJson(context, answer.openRun);
    else context.out(`run ${runId}\ncorrelation id ${correlationId}\ntraceparent ${traceparent}`);
    return exitCodes.ok;
  },
};

const handOffDocument = `mutation HandOff($input: HandOffInput!) { handOff(input: $input) { id index } }`;

interface HandOffFlags extends Flags {
  readonly to: string;
  readonly reason: string;
  readonly action?: string;
}

export const handOff: CliCommand<HandOffFlags> = {
  usage: 'hand-off <runId>',
  summary: 'hand a run over to a person',
  help: `  npx trailkeeper hand-off <runId> --to omar --reason "the customer disputes it" --as acme/agent`,
  documents: [handOffDocument],
  options: (command) =>
    command
      .requiredOption('--to <principal>', 'who takes over')
      .requiredOption('--reason <text>', 'what they should know')
      .option('--action <id>', 'the action that it is about'),
  async run([runId], flags, context) {
    const input = { runId, to: flags.to, reason: flags.reason, action: flags.action };
    const answer = await context.client().ask<{ handOff: { id: string; index: number } }>(handOffDocument, { input });
    if (flags.json) printJson(context, answer.handOff);
    else context.out(`recorded as ${answer.handOff.id} at #${answer.handOff.index}`);
    return exitCodes.ok;
  },
};

const closeRunDocument = `mutation CloseRun($input: CloseRunInput!) {
  closeRun(input: $input) { runId state missing { kind text details } notes { kind text details } }
}`;

interface ClosedRun {
  readonly state: 'COMPLETE' | 'INCOMPLETE';
  readonly missing: readonly { readonly text: string }[];
  readonly notes: readonly { readonly text: string }[];
}

export const closeRun: CliCommand<Flags> = {
  usage: 'close-run <runId>',
  summary: 'close a run, and say what its record lacks',
  help: `Exit code 0 where the record is complete, 1 where it is not.

  npx trailkeeper close-run <runId> --as acme/operator`,
  documents: [closeRunDocument],
  async run([runId], flags, context) {
    const answer = await context.client().ask<{ closeRun: ClosedRun }>(closeRunDocument, { input: { runId } });
    const { state, missing, notes } = answer.closeRun;
    const lines = [...missing.map(({ text }) => `missing: ${text}`), ...notes.map(({ text }) => `note: ${text}`)];
    if (flags.json) printJson(context, answer.closeRun);
    else for (const line of [state, ...lines]) context.out(line);
    return state === 'COMPLETE' ? exitCodes.ok : exitCodes.negative;
  },
};
