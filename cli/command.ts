/** What a command is. Each says which GraphQL documents it sends: a test checks them against the schema. */
import type { Command } from 'commander';
import type { Client } from './client.ts';
import type { ConnectionFlags } from './connection.ts';
import type { ExitCode } from './exit.ts';

export interface Flags extends ConnectionFlags {
  readonly json?: boolean;
}

export interface CommandContext {
  /** Connects; throws CliError where it is not said where to or as whom. */
  readonly client: () => Client;
  readonly flags: Flags;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** One line on standard output. */
  readonly out: (line: string) => void;
  /** One line on standard error: progress and warnings. */
  readonly note: (line: string) => void;
  /** Ends with Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface CliCommand<O = never> {
  /** With its arguments, as commander writes them: `timeline <correlationId>`. */
  readonly usage: string;
  readonly summary: string;
  /** What exit codes 0 and 1 mean here, and an example. */
  readonly help: string;
  readonly documents: readonly string[];
  options?(command: Command): void;
  run(args: readonly string[], options: O, context: CommandContext): Promise<ExitCode>;
}
