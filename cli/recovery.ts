/** Runs what needs the installation itself and not its API: a process of its own, whose lines are ours. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import type { CommandContext } from './command.ts';
import { exitCodes, type ExitCode } from './exit.ts';

const entry = resolve(import.meta.dirname, '../stack/recovery/main.ts');
const known: ReadonlySet<number> = new Set(Object.values(exitCodes));

/** Ends with the exit code of the process; Ctrl-C lets it come to an orderly end. */
export const runRecovery = async (
  args: readonly string[],
  { env, cwd, out, note, signal }: CommandContext,
): Promise<ExitCode> => {
  const child = spawn(process.execPath, [entry, ...args], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const interrupt = () => child.kill('SIGINT');
  signal.addEventListener('abort', interrupt);
  createInterface({ input: child.stdout }).on('line', out);
  createInterface({ input: child.stderr }).on('line', note);
  const code = await new Promise<number>((done, fail) => {
    child.once('error', fail);
    child.once('close', (exit) => done(exit ?? exitCodes.unavailable));
  });
  signal.removeEventListener('abort', interrupt);
  return (known.has(code) ? code : exitCodes.negative) as ExitCode;
};
