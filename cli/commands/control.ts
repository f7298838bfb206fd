/** Changes of control state: the kill flag, and published versions. */
import { readText } from '../connection.ts';
import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';

const suspendDocument = 'mutation Suspend($reason: String!) { suspendInstance(reason: $reason) { suspended index } }';
const resumeDocument = 'mutation Resume($reason: String!) { resumeInstance(reason: $reason) { suspended index } }';

interface ReasonFlags extends Flags {
  readonly reason: string;
}

interface State {
  readonly suspended: boolean;
  readonly index: number;
}

export const suspend: CliCommand<ReasonFlags> = {
  usage: 'suspend',
  summary: 'set the kill flag: no action of the instance reaches a target any more',
  help: `  npx trailkeeper suspend --reason "the agent writes wrong numbers" --as acme/responder`,
  documents: [suspendDocument],
  options: (command) => command.requiredOption('--reason <text>', 'why'),
  async run(_args, { reason, json }, context) {
    const { suspendInstance } = await context.client().ask<{ suspendInstance: State }>(suspendDocument, { reason });
    if (json) printJson(context, suspendInstance);
    else context.out(`suspended; recorded as #${suspendInstance.index}`);
    return exitCodes.ok;
  },
};

export const resume: CliCommand<ReasonFlags> = {
  usage: 'resume',
  summary: 'take the kill flag away',
  help: `  npx trailkeeper resume --reason "the mapping is corrected" --as acme/responder`,
  documents: [resumeDocument],
  options: (command) => command.requiredOption('--reason <text>', 'why'),
  async run(_args, { reason, json }, context) {
    const { resumeInstance } = await context.client().ask<{ resumeInstance: State }>(resumeDocument, { reason });
    if (json) printJson(context, resumeInstance);
    else context.out(`resumed; recorded as #${resumeInstance.index}`);
    return exitCodes.ok;
  },
};

const publishDocument = `mutation Publish($input: PublishVersionInput!) {
  publishVersion(input: $input) { kind name version digest index }
}`;

interface PublishFlags extends Flags {
  readonly content: string;
  readonly agent?: string;
  readonly system?: string;
}

export const publish: CliCommand<PublishFlags> = {
  usage: 'publish <kind> <name> <version>',
  summary: 'publish a mapping, prompt, model or agentBuild',
  help: `  npx trailkeeper publish mapping contacts 5 --content mapping.json --system salesforce --as acme/admin`,
  documents: [publishDocument],
  options: (command) =>
    command
      .requiredOption('--content <file>', 'JSON file with what is published')
      .option('--agent <principal>', 'for prompts, models and builds: the agent that they are for')
      .option('--system <name>', 'for mappings: the system whose fields it names'),
  async run([kind, name, version], flags, context) {
    const input = { kind, name, version, content: read(flags.content), agent: flags.agent, system: flags.system };
    const { publishVersion } = await context
      .client()
      .ask<{ publishVersion: { digest: string; index: number } }>(publishDocument, { input });
    if (flags.json) printJson(context, publishVersion);
    else
      context.out(`${kind} ${name}@${version} is in force since #${publishVersion.index} (${publishVersion.digest})`);
    return exitCodes.ok;
  },
};

const read = (path: string): unknown => {
  try {
    return JSON.parse(readText(path));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(exitCodes.usage, `${path} is not JSON`);
  }
};
