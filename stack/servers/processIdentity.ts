/**
 * Which process a pid means. Pids are reused, so a pid read from a file is acted on only if the process that has it now
 * began at the same moment and shows the same command line as when it was written.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** When it began: clock ticks since boot on Linux, a date elsewhere. Only compared for equality. */
  readonly started: string;
  readonly commandLine: string;
}

/** The process that has this pid now; undefined if none has, or it has ended and only waits to be reaped. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  return existsSync('/proc/self/stat') ? fromProc(pid) : fromPs(pid);
}

export const isSameProcess = (a: ProcessIdentity | undefined, b: ProcessIdentity | undefined): boolean =>
  a !== undefined && b !== undefined && a.pid === b.pid && a.started === b.started && a.commandLine === b.commandLine;

/** proc(5): the fields of `stat` after the command's closing parenthesis; state is the 3rd, start time the 22nd. */
function fromProc(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, started: fields[19] ?? '', commandLine };
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): ProcessIdentity | undefined {
  try {
    const started = ps(['-o', 'lstart=', '-p', String(pid)]);
    const commandLine = ps(['-ww', '-o', 'command=', '-p', String(pid)]);
    return started === '' ? undefined : { pid, started, commandLine };
  } catch {
    return undefined;
  }
}

const ps = (args: string[]): string =>
  execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
