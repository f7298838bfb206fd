/** The two programs that the embedded stack runs, and how one is told to be fit for use. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';

export type ProgramName = 'mongod' | 'temporal';

export interface Program {
  readonly name: ProgramName;
  readonly path: string;
  readonly version: string;
}

export type ProgramCheck =
  | { readonly fit: true; readonly program: Program }
  | { readonly fit: false; readonly reason: string };

const checks: Record<ProgramName, { pattern: RegExp; fit: (version: string) => string | undefined }> = {
  mongod: {
    pattern: /^db version v(\d+\.\d+\.\d+\S*)/m,
    fit: (version) => (Number.parseInt(version, 10) < 6 ? `version ${version} is older than 6.0` : undefined),
  },
  temporal: {
    // `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`; one built by `go install` calls itself 0.0.0-DEV.
    pattern: /^temporal version .*\(Server (\d+\.\d+\.\d+)/m,
    fit: (version) => (/^1\.(1?\d|2[0-4])\./.test(version) ? `server ${version} is older than 1.25` : undefined),
  },
};

/**
 * Runs the program once to ask its version. A file that is truncated, for another machine, or lacks a shared library
 * fails here, and so never becomes "the server that did not start".
 */
export async function checkProgram(name: ProgramName, path: string): Promise<ProgramCheck> {
  const answer = await new Promise<{ stdout: string } | { reason: string }>((resolve) => {
    execFile(path, ['--version'], { timeout: 60_000, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout });
      else resolve({ reason: (stderr.trim().split('\n')[0] || error.message).slice(0, 300) });
    });
  });
  if ('reason' in answer) return { fit: false, reason: answer.reason };
  const version = checks[name].pattern.exec(answer.stdout)?.[1];
  if (version === undefined) return { fit: false, reason: `it does not answer --version as ${name} does` };
  const unfit = checks[name].fit(version);
  return unfit === undefined ? { fit: true, program: { name, path, version } } : { fit: false, reason: unfit };
}

/** The first executable file of that name on the search path. */
export async function findOnPath(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
