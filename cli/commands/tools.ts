import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';

const document = `query Tools {
  tools { name system action effect idempotency takesMapping endpoint parameters }
}`;

interface Tool {
  readonly name: string;
  readonly action: string;
  readonly effect: string;
  readonly endpoint: string;
  readonly parameters: object;
}

export const tools: CliCommand<Flags> = {
  usage: 'tools [name]',
  summary: 'list the tools that "perform" can use, or show what parameters one takes',
  help: `Of one tool, its parameters are shown as JSON Schema. Exit code 3 where there is no tool of that name.

  npx trailkeeper tools --as acme/agent
  npx trailkeeper tools slack.postMessage --as acme/agent`,
  documents: [document],
  async run([name], flags, context) {
    const { tools: all } = await context.client().ask<{ tools: readonly Tool[] }>(document);
    if (name === undefined) {
      if (flags.json) printJson(context, all);
      else for (const line of table(all)) context.out(line);
      return exitCodes.ok;
    }
    const tool = all.find((one) => one.name === name);
    if (!tool) throw new CliError(exitCodes.refused, `there is no tool "${name}"; "tools" lists them`);
    if (flags.json) printJson(context, tool);
    else {
      context.out(`${tool.name}: ${tool.action}, ${tool.effect}; ${tool.endpoint}`);
      printJson(context, tool.parameters);
    }
    return exitCodes.ok;
  },
};

const table = (all: readonly Tool[]): string[] => {
  const width = (of: (tool: Tool) => string) => Math.max(...all.map((tool) => of(tool).length));
  const [names, actions] = [width(({ name }) => name), width(({ action }) => action)];
  return all.map(({ name, action, effect }) => `${name.padEnd(names)}  ${action.padEnd(actions)}  ${effect}`);
};
