/** Runs one outside command to its end, within bounds, while telling the user that it is still at work. */
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface CommandOptions {
  /** What is being done, for the progress lines: "building Temporal from source". */
  readonly doing: string;
  readonly say: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  /** Ends the command when this number has not grown for `stallMs`: bytes downloaded, for example. */
  readonly progress?: { readonly measure: () => Promise<number>; readonly stallMs: number };
  /** Time between two progress lines. */
  readonly tickMs?: number;
}

export type CommandResult =
  | { readonly ok: true; readonly stdout: string }
  | { readonly ok: false; readonly reason: string };

const tailBytesMax = 4096;

/**
 * Never throws for what the command does: a missing program, a non-zero exit and a time-out are results. The command
 * runs in a process group of its own, which is ended as a whole on time-out, so that nothing that it started is left.
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const startedMs = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: options.env,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-65_536);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-tailBytesMax);
  });
  const ended = new Promise<{ code: number | null; error?: NodeJS.ErrnoException }>((resolve) => {
    child.once('error', (error) => resolve({ code: null, error }));
    child.once('close', (code) => resolve({ code }));
  });
  const endGroup = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group is gone already.
    }
  };
  const release = endWithUs(endGroup);
  const watch = new AbortController();
  let stopped: string | undefined;
  const watching = watchCommand(options, watch.signal, (reason) => {
    stopped = reason;
    endGroup();
  });
  const end = await ended;
  watch.abort();
  release();
  await watching;
  if (stopped !== undefined) return { ok: false, reason: stopped };
  if (end.error?.code === 'ENOENT') return { ok: false, reason: `${program} is not installed` };
  if (end.error !== undefined) return { ok: false, reason: end.error.message };
  if (end.code === 0) return { ok: true, stdout };
  const elapsedS = Math.round((performance.now() - startedMs) / 1000);
  const said = lastLine(stderr) ?? lastLine(stdout) ?? 'no message';
  return { ok: false, reason: `${basename(program)} ended with ${String(end.code)} after ${elapsedS} s: ${said}` };
}

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Ends the command when we end: it has a group of its own, so Ctrl-C does not reach it. Where nobody else handles the
 * signal, it goes on to end us as it would have.
 */
function endWithUs(endGroup: () => void): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    endGroup();
    release();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const release = () => {
    process.off('exit', endGroup);
    for (const signal of endingSignals) process.off(signal, onSignal);
  };
  process.once('exit', endGroup);
  for (const signal of endingSignals) process.on(signal, onSignal);
  return release;
}

async function watchCommand(options: CommandOptions, signal: AbortSignal, stop: (reason: string) => void) {
  const tickMs = options.tickMs ?? 5000;
  const startedMs = performance.now();
  let amount = 0;
  let grewMs = startedMs;
  for (;;) {
    try {
      await delay(tickMs, undefined, { signal });
    } catch {
      return;
    }
    const nowMs = performance.now();
    let shown = '';
    if (options.progress !== undefined) {
      const measured = await options.progress.measure();
      if (measured > amount) grewMs = nowMs;
      amount = Math.max(amount, measured);
      shown = amount > 0 ? `, ${Math.round(amount / 1_048_576)} MiB` : '';
      if (nowMs - grewMs > options.progress.stallMs) {
        stop(`nothing arrived for ${Math.round(options.progress.stallMs / 1000)} s`);
        return;
      }
    }
    if (nowMs - startedMs > options.timeoutMs) {
      stop(`not done after ${Math.round(options.timeoutMs / 1000)} s`);
      return;
    }
    if (!signal.aborted) options.say(`  ... ${options.doing} (${Math.round((nowMs - startedMs) / 1000)} s${shown})`);
  }
}

const lastLine = (text: string): string | undefined =>
  text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '')
    ?.slice(0, 400);
