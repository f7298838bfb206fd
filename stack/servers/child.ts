/**
 * A server of the embedded stack as a child process that never outlives us. Three things see to it:
 * `stop()` on an orderly end; a watchdog shell that reads a pipe which only we hold open, so that it wakes when we die
 * in whatever way, kill -9 included; and a pid file, by which the next start ends a server that escaped both.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ServersError } from './errors.ts';
import { identityOf, isSameProcess, type ProcessIdentity } from './processIdentity.ts';

export interface ChildSpec {
  /** Names the log and the pid file in `folder`. */
  readonly name: string;
  readonly program: string;
  /** One of them must contain `folder`: it is how the watchdog tells our server from a stranger with its pid. */
  readonly args: readonly string[];
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface ServerChild {
  readonly pid: number;
  /** Resolves when the process has ended; never rejects. */
  readonly ended: Promise<ChildEnd>;
  /** Undefined while it runs, and when a signal ended it. */
  readonly exitCode: () => number | undefined;
  /** The last lines that the server wrote. */
  readonly logTail: () => string;
  /** Asks it to end, and after `graceMs` makes it. Safe to call twice. */
  readonly stop: (graceMs?: number) => Promise<void>;
  /** Ends it at once, without a clean shutdown: for throw-away data. */
  readonly kill: () => Promise<void>;
}

export type ChildEnd =
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'not-started'; readonly error: Error };

interface PidFile {
  readonly owner: ProcessIdentity;
  readonly server: ProcessIdentity;
}

const pidFilePath = (folder: string, name: string) => join(folder, `${name}.pid`);

/**
 * $1 is the server's pid, $2 its data folder. `read` returns when our end of the pipe is closed. The command line is
 * looked at before each signal, since a pid may have been given to another process meanwhile.
 */
const watchdogScript = `
ours() {
  if [ -r "/proc/$1/cmdline" ]; then tr '\\0' ' ' <"/proc/$1/cmdline"; else ps -ww -o command= -p "$1"; fi 2>/dev/null |
    grep -F -q -- "$2"
}
read -r _ || true
ours "$1" "$2" && kill -TERM "$1"
n=0
while ours "$1" "$2"; do
  n=$((n + 1))
  if [ "$n" -gt 20 ]; then kill -KILL "$1"; exit; fi
  sleep 1
done`;

/** Both processes get a group of their own: Ctrl-C in a terminal then reaches us alone, and we end them in order. */
export function startChild(spec: ChildSpec): ServerChild {
  const logPath = join(spec.folder, `${spec.name}.log`);
  rotate(logPath);
  const log = openSync(logPath, 'a', 0o600);
  const child = spawn(spec.program, spec.args, { stdio: ['ignore', log, log], detached: true, env: spec.env });
  closeSync(log);
  let end: ChildEnd | undefined;
  const ended = new Promise<ChildEnd>((resolve) => {
    const settle = (how: ChildEnd) => {
      end ??= how;
      resolve(end);
    };
    child.once('error', (error) => settle({ kind: 'not-started', error }));
    child.once('exit', (code, signal) =>
      settle(signal === null ? { kind: 'exit', code: code ?? 0 } : { kind: 'signal', signal }),
    );
  });
  const watchdog = child.pid === undefined ? undefined : startWatchdog(child.pid, spec.folder);
  if (child.pid !== undefined) writePidFile(spec, child.pid);
  child.unref();
  const release = () => {
    watchdog?.kill('SIGKILL');
    rmSync(pidFilePath(spec.folder, spec.name), { force: true });
  };
  void ended.then(release);
  return {
    pid: child.pid ?? -1,
    ended,
    exitCode: () => (end?.kind === 'exit' ? end.code : undefined),
    logTail: () => tail(logPath),
    stop: async (graceMs = 20_000) => {
      child.ref();
      if (end === undefined) child.kill('SIGTERM');
      const patience = new AbortController();
      await Promise.race([ended, delay(graceMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
      patience.abort();
      if (end === undefined) child.kill('SIGKILL');
      await ended;
    },
    kill: async () => {
      child.ref();
      if (end === undefined) child.kill('SIGKILL');
      await ended;
    },
  };
}

function startWatchdog(pid: number, folder: string): ChildProcess {
  const watchdog = spawn('/bin/sh', ['-c', watchdogScript, 'trailkeeper-watchdog', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => undefined);
  watchdog.stdin?.on('error', () => undefined);
  watchdog.unref();
  (watchdog.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  return watchdog;
}

function writePidFile(spec: ChildSpec, pid: number): void {
  const owner = identityOf(process.pid);
  const server = identityOf(pid);
  if (owner === undefined || server === undefined) return;
  const content: PidFile = { owner, server };
  const path = pidFilePath(spec.folder, spec.name);
  writeFileSync(`${path}.new`, JSON.stringify(content), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/**
 * Before a start: ends the server that a crashed owner left on this folder. Throws `DATA_FOLDER_IN_USE` if its owner
 * still runs. A process that is not the one which the pid file describes is never touched.
 */
export async function endOrphan(folder: string, name: string): Promise<'none' | 'ended'> {
  const path = pidFilePath(folder, name);
  let file: PidFile;
  try {
    file = JSON.parse(readFileSync(path, 'utf8')) as PidFile;
  } catch {
    return 'none';
  }
  const runs = () => isSameProcess(identityOf(file.server.pid), file.server);
  if (!runs()) {
    rmSync(path, { force: true });
    return 'none';
  }
  if (isSameProcess(identityOf(file.owner.pid), file.owner)) {
    throw new ServersError(
      'DATA_FOLDER_IN_USE',
      `Process ${file.owner.pid} already runs ${name} on ${folder}. End it first, or set TRAILKEEPER_DATA_DIR to another folder.`,
    );
  }
  process.kill(file.server.pid, 'SIGTERM');
  const deadlineMs = performance.now() + 20_000;
  while (runs()) {
    if (performance.now() > deadlineMs) process.kill(file.server.pid, 'SIGKILL');
    await delay(50);
  }
  rmSync(path, { force: true });
  return 'ended';
}

/** Keeps the log of the previous start beside the new one, and no more. */
function rotate(path: string): void {
  try {
    renameSync(path, `${path}.1`);
  } catch {
    // There is none yet.
  }
}

function tail(path: string, lines = 6): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n').slice(-3000);
  } catch {
    return '';
  }
}
