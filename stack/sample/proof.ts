/**
 * The outside verdict on a log: a program in Go, built on golang.org/x/mod/sumdb alone, that reads every leaf through the
 * tiles with a key given to it. It shares no code with us.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const source = resolve(import.meta.dirname, '../../test/go');
const buildWithinMs = 300_000;
const verifyWithinMs = 600_000;

export type OutsideVerdict =
  | { readonly state: 'verified' | 'refuted'; readonly line: string }
  /** There is no Go here, or it can't be used. */
  | { readonly state: 'not-run'; readonly reason: string };

export const outsideVerdict = async (log: string, vkey: string, token: string): Promise<OutsideVerdict> => {
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-proof-'));
  try {
    const program = join(folder, 'verify-log');
    try {
      await run('go', ['build', '-o', program, './verify-log'], { cwd: source, timeout: buildWithinMs });
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return { state: 'not-run', reason: missing ? 'Go is not installed' : 'the Go program could not be built' };
    }
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, token, { mode: 0o600 });
    return await run(program, ['-url', log, '-vkey', vkey, '-token-file', tokenFile], { timeout: verifyWithinMs }).then(
      ({ stdout }) => ({ state: 'verified', line: stdout.trim() }),
      (error: { stdout?: string; stderr?: string }) => ({
        state: 'refuted',
        line: `${error.stdout ?? ''}${error.stderr ?? ''}`.trim(),
      }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
