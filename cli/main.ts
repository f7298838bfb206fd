/** The command line: a GraphQL client like any other. */
import { Command, CommanderError } from 'commander';
import { createClient } from './client.ts';
import type { CliCommand, CommandContext, Flags } from './command.ts';
import { commands } from './commands/commands.ts';
import { connect } from './connection.ts';
import { CliError, exitCodes } from './exit.ts';
import { printable } from './print.ts';

export interface CliSurroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly out: (line: string) => void;
  readonly note: (line: string) => void;
  readonly signal: AbortSignal;
}

const exitCodeHelp = `
Exit codes: 0 done; 1 the answer is negative (each command says what that means); 2 wrong usage;
3 refused by the API; 4 unavailable, try again later.

Endpoint and token: --endpoint and --token-file, or TRAILKEEPER_ENDPOINT and TRAILKEEPER_TOKEN, or
--as <instance>/<role> (TRAILKEEPER_AS) with the credentials file that a local start writes
(.trailkeeper/credentials.json, or --credentials, or TRAILKEEPER_CREDENTIALS).`;

/** Returns the exit code; never throws for what a user can do. */
export const runCli = async (argv: readonly string[], given: Partial<CliSurroundings> = {}): Promise<number> => {
  const interrupted = new AbortController();
  const surroundings: CliSurroundings = {
    env: process.env,
    cwd: process.cwd(),
    out: (line) => process.stdout.write(`${printable(line)}\n`),
    note: (line) => process.stderr.write(`${printable(line)}\n`),
    signal: interrupted.signal,
    ...given,
  };
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt);
  // It stays: what was written last may fail after the command has ended.
  if (!process.stdout.listeners('error').includes(endWithReader)) process.stdout.on('error', endWithReader);
  let exit: number = exitCodes.ok;
  const program = newProgram(surroundings);
  for (const command of commands) define(program, command, surroundings, (code) => (exit = code));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exit;
  } catch (error) {
    return failed(error, surroundings);
  } finally {
    process.off('SIGINT', interrupt);
  }
};

/** A reader that has seen enough (`| head`) closes the pipe: that is no failure. */
const endWithReader = (error: NodeJS.ErrnoException): void => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
};

const newProgram = ({ out, note }: CliSurroundings): Command =>
  new Command('trailkeeper')
    .description('Audit trail and control plane for AI agents')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => out(text.trimEnd()),
      writeErr: (text) => note(text.trimEnd()),
    })
    .showHelpAfterError('(--help shows how it is used)')
    .addHelpText('after', exitCodeHelp);

const define = (
  program: Command,
  definition: CliCommand,
  surroundings: CliSurroundings,
  ended: (code: number) => void,
): void => {
  const command = program.command(definition.usage).summary(definition.summary).description(definition.summary);
  command
    .copyInheritedSettings(program)
    .option('--endpoint <url>', 'GraphQL endpoint')
    .option('--token <token>', 'bearer token; other users of the machine can see it, so rather use --token-file')
    .option('--token-file <file>', 'file that holds the bearer token')
    .option('--as <instance/role>', 'take the token of this role from the credentials file')
    .option('--credentials <file>', 'credentials file')
    .option('--json', 'print one JSON document (or one a line, where it goes on)');
  definition.options?.(command);
  command.addHelpText('after', `\n${definition.help}\n${exitCodeHelp}`);
  command.action(async (...received: unknown[]) => {
    // Commander hands over the arguments, then the options, then the command.
    const args = received.slice(0, -2).map((argument) => argument as string);
    const flags: Flags = command.opts();
    const context: CommandContext = {
      flags,
      ...surroundings,
      client: () => createClient(connect(flags, surroundings.env, surroundings.cwd)),
    };
    ended(await definition.run(args, flags as never, context));
  });
};

const failed = (error: unknown, { note }: CliSurroundings): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (!(error instanceof CliError)) throw error;
  note(`trailkeeper: ${error.message}`);
  return error.exit;
};

if (import.meta.main) process.exitCode = await runCli(process.argv.slice(2));
