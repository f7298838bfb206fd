/** Builds and runs the verifier in test/go, which has nothing of ours in it. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const source = new URL('../go', import.meta.url).pathname;

/** False on a machine without Go. In CI nothing is left out: there the tests run, and fail. */
export const runGoTests = spawnSync('go', ['version']).status === 0 || process.env.CI === 'true';

/** Builds the verifier into a folder of its own; gives the path of the program. */
export function buildGoVerifier(): string {
  const program = join(mkdtempSync(join(tmpdir(), 'trailkeeper-go-')), 'verify-log');
  const built = spawnSync('go', ['build', '-o', program, './verify-log'], { cwd: source, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`go build failed: ${built.error?.message ?? built.stderr}`);
  return program;
}

export interface Verdict {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the verifier to its end. */
export const runGoVerifier = async (program: string, args: readonly string[]): Promise<Verdict> =>
  new Promise((resolve) => {
    const child = execFile(program, [...args], { timeout: 120_000 }, (_, stdout, stderr) => {
      resolve({ exitCode: child.exitCode ?? -1, stdout, stderr });
    });
  });
