/** Guarded actions: asked for, looked at, decided on, settled. */
import type { CliCommand, CommandContext, Flags } from '../command.ts';
import { CliError, exitCodes, type ExitCode } from '../exit.ts';
import { counted, printJson } from '../print.ts';
import { json } from './jsonInput.ts';

const actionFields =
  'id runId state outcome error parametersDigest approval { state expires decidedBy } attempts objects { succeeded failed notTried }';

interface ActionAnswer {
  readonly id: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly error: string | null;
  readonly parametersDigest: string;
  readonly approval: { readonly state: string; readonly expires: string } | null;
  readonly attempts: number;
  readonly objects: { readonly succeeded: number; readonly failed: number; readonly notTried: number };
}

const show = (action: ActionAnswer, { flags, out }: CommandContext): ExitCode => {
  if (flags.json) out(JSON.stringify(action, null, 2));
  else {
    const { id, state, error, attempts, approval, parametersDigest } = action;
    out(`${id} ${state}${error ? ` ${error}` : ''} (${counted(attempts, 'attempt')})`);
    const { succeeded, failed, notTried } = action.objects;
    if (succeeded + failed + notTried > 1)
      out(`objects: ${succeeded} succeeded, ${failed} failed, ${notTried} never tried`);
    if (state === 'AWAITING_APPROVAL')
      out(`waits for approval until ${approval?.expires}; digest of the parameters: ${parametersDigest}`);
  }
  return stateExit[action.state] ?? exitCodes.ok;
};

const stateExit: Readonly<Record<string, ExitCode>> = {
  DENIED: exitCodes.refused,
  FAILED: exitCodes.negative,
  UNKNOWN: exitCodes.negative,
};

const actionExits =
  'Exit code 0 where it succeeded or goes on, 1 where it failed or is unknown, 3 where it was denied.';

const performDocument = `mutation Perform($input: PerformActionInput!, $results: Boolean!) {
  performAction(input: $input) { ${actionFields} results @include(if: $results) }
}`;

interface PerformFlags extends Flags {
  readonly run: string;
  readonly tool: string;
  readonly params: string;
  readonly id?: string;
  readonly causedBy?: string;
  readonly waitMs?: string;
  readonly results?: boolean;
}

export const perform: CliCommand<PerformFlags> = {
  usage: 'perform',
  summary: 'carry out a guarded action in a run',
  help: `"tools" lists the tools, and shows what parameters each takes. ${actionExits}

  npx trailkeeper perform --run <id> --tool jira.readIssue --params '{"issue":"SALES-1"}' --as acme/agent`,
  documents: [performDocument],
  options: (command) =>
    command
      .requiredOption('--run <id>', 'the run')
      .requiredOption('--tool <name>', 'for example salesforce.updateRecords')
      .requiredOption('--params <json>', 'its parameters, or @file')
      .option('--id <uuid7>', 'makes the call repeatable')
      .option('--caused-by <event>', 'the event that made the agent do it')
      .option('--wait-ms <n>', 'how long to wait for its end')
      .option('--results', 'what the tool returned, too (recorded as a read)'),
  async run(_args, flags, context) {
    const input = {
      runId: flags.run,
      tool: flags.tool,
      params: json(flags.params, '--params'),
      id: flags.id,
      causedBy: flags.causedBy,
      waitMs: flags.waitMs === undefined ? undefined : Number(flags.waitMs),
    };
    const results = flags.results ?? false;
    const answer = await context
      .client()
      .ask<{ performAction: ActionAnswer & { results?: readonly unknown[] } }>(performDocument, { input, results });
    const exit = show(answer.performAction, context);
    if (results && !flags.json) for (const result of answer.performAction.results ?? []) printJson(context, result);
    return exit;
  },
};

const actionDocument = `query Action($id: EventId!, $results: Boolean!) {
  action(id: $id) { ${actionFields} results @include(if: $results) }
}`;

export const action: CliCommand<Flags & { readonly results?: boolean }> = {
  usage: 'action <id>',
  summary: 'show a guarded action',
  help: `${actionExits}

  npx trailkeeper action <id> --as acme/operator`,
  documents: [actionDocument],
  options: (command) => command.option('--results', 'what the tool returned, too (recorded as a read)'),
  async run([id], flags, context) {
    const results = flags.results ?? false;
    const answer = await context
      .client()
      .ask<{ action: ActionAnswer & { results?: readonly unknown[] } }>(actionDocument, { id, results });
    const exit = show(answer.action, context);
    if (results && !flags.json) for (const result of answer.action.results ?? []) printJson(context, result);
    return exit;
  },
};

const decideDocument = `mutation Decide($input: DecideActionInput!) { decideAction(input: $input) { ${actionFields} } }`;

interface DecideFlags extends Flags {
  readonly approve?: boolean;
  readonly deny?: boolean;
  readonly digest: string;
  readonly reason?: string;
}

export const decide: CliCommand<DecideFlags> = {
  usage: 'decide <id>',
  summary: 'approve or deny an action that waits for it',
  help: `The digest binds the decision to the exact parameters: take it from "action", after looking at them.
${actionExits}

  npx trailkeeper decide <id> --approve --digest <sha256> --reason "checked the list" --as acme/approver`,
  documents: [decideDocument],
  options: (command) =>
    command
      .option('--approve', 'let it be done')
      .option('--deny', 'do not let it be done; final')
      .requiredOption('--digest <sha256>', 'digest of the parameters that were looked at')
      .option('--reason <text>', 'why'),
  async run([id], flags, context) {
    if (flags.approve === flags.deny) throw new CliError(exitCodes.usage, 'say --approve or --deny, one of the two');
    const decision = flags.approve ? 'APPROVE' : 'DENY';
    const input = { id, decision, parametersDigest: flags.digest, reason: flags.reason };
    const answer = await context.client().ask<{ decideAction: ActionAnswer }>(decideDocument, { input });
    const shown = show(answer.decideAction, context);
    // That it is denied now is what was asked for.
    return flags.deny ? exitCodes.ok : shown;
  },
};

const settleDocument = `mutation Settle($input: SettleActionInput!) { settleAction(input: $input) { ${actionFields} } }`;

interface SettleFlags extends Flags {
  readonly outcome: string;
  readonly reason: string;
}

export const settle: CliCommand<SettleFlags> = {
  usage: 'settle <id>',
  summary: 'say how an action with unknown outcome ended',
  help: `Look in the target system first: nothing is tried again.

  npx trailkeeper settle <id> --outcome success --reason "the message is in the channel" --as acme/operator`,
  documents: [settleDocument],
  options: (command) =>
    command
      .requiredOption('--outcome <outcome>', 'success or failure')
      .requiredOption('--reason <text>', 'what was found out and how'),
  async run([id], flags, context) {
    const outcome = flags.outcome.toUpperCase();
    if (outcome !== 'SUCCESS' && outcome !== 'FAILURE')
      throw new CliError(exitCodes.usage, '--outcome is success or failure');
    const input = { id, outcome, reason: flags.reason };
    const answer = await context.client().ask<{ settleAction: ActionAnswer }>(settleDocument, { input });
    show(answer.settleAction, context);
    return exitCodes.ok;
  },
};
