/**
 * `node stack/recovery/main.ts verify|rebuild`: what an operator does with archives. The command line starts it
 * (`npx trailkeeper archive verify`, `npx trailkeeper rebuild`). Exit codes as there: 0 done, 1 the archive does not hold,
 * 2 wrong usage, 3 refused, 4 unavailable.
 */
import { ArchiveError } from '../../trail/archive/errors.ts';
import { TrailError } from '../../trail/errors.ts';
import { ConfigError, loadConfig } from '../config.ts';
import { ServersError } from '../servers/errors.ts';
import { readArguments } from './arguments.ts';

const telling = {
  out: (line: string) => void process.stdout.write(`${line}\n`),
  note: (line: string) => void process.stderr.write(`${line}\n`),
};

const run = async (argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> => {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());
  const config = loadConfig(env);
  const given = await readArguments(argv, config);
  // What the other task needs is not loaded.
  if (given.task === 'verify') {
    const { verifyArchives } = await import('./verify-archives.ts');
    return (await verifyArchives(config, given, telling)) ? 0 : 1;
  }
  const { rebuildInstallation } = await import('./rebuild-installation.ts');
  await rebuildInstallation(config, env, given, telling, interrupted.signal);
  return 0;
};

const exitOf = (error: unknown): number | undefined => {
  if (error instanceof ConfigError) return 2;
  if (error instanceof ServersError) return 4;
  if (error instanceof TrailError) return error.retryable ? 4 : 1;
  if (!(error instanceof ArchiveError))
    return (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ? 2 : undefined;
  if (error.code === 'ARCHIVE_UNAVAILABLE') return 4;
  return error.code === 'REBUILD_REFUSED' || error.code === 'ARCHIVE_REFUSED' ? 3 : 1;
};

try {
  process.exitCode = await run(process.argv.slice(2), process.env);
} catch (error) {
  const exit = exitOf(error);
  // The driver's messages may repeat the connection string.
  const { name, code, message } = error as Error & { code?: string };
  telling.note(exit === undefined ? `it failed (${name})` : `${code ?? name}: ${message}`);
  process.exitCode = exit ?? 1;
}
// Whatever a library still holds open must not keep the terminal.
process.exit();
