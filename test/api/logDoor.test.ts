import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeBundle } from '../../domain/tree/bundle.ts';
import { leafHash } from '../../domain/tree/hash.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestApi, type TestApi } from './openApi.ts';

const run = promisify(execFile);
const go = await run('go', ['version']).then(
  () => true,
  () => false,
);
if (!go && process.env['CI'] === 'true') throw new Error('CI needs Go: the log is judged from outside');

let api: TestApi;
let logPath: string;
let folder: string;
const next = emitterOf('log-door');

beforeAll(async () => {
  api = await openTestApi();
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-log-'));
  logPath = `/log/${api.trails.acme.origin.split('/').at(-1)!}`;
  await api.trails.acme.writer.append(
    Array.from({ length: 600 }, () => next()),
    'platform',
  );
});
afterAll(async () => {
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

const get = (path: string) => api.fetch(`${logPath}/${path}`);
const bytesOf = async (path: string) => Buffer.from(await (await get(path)).arrayBuffer());
const sizeNow = async () => Number((await (await get('checkpoint')).text()).split('\n')[1]);

describe('the log over HTTP', () => {
  it('serves the checkpoint as text that nobody caches', async () => {
    const response = await get('checkpoint');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toMatch(new RegExp(`^${api.trails.acme.origin}\n`));
  });

  it('serves full tiles as immutable, each of 256 hashes', async () => {
    for (const path of ['tile/0/000', 'tile/0/001']) {
      const response = await get(path);
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(response.headers.get('cache-control')).toContain('immutable');
      expect((await response.arrayBuffer()).byteLength).toBe(256 * 32);
    }
  });

  it('serves a partial tile of every size that was published, also once the tile is full', async () => {
    const full = await bytesOf('tile/0/000');
    for (const width of [1, 2, 100, 255])
      expect(await bytesOf(`tile/0/000.p/${width}`)).toEqual(full.subarray(0, width * 32));
    const size = await sizeNow();
    const last = await bytesOf(`tile/0/002.p/${size - 512}`);
    expect(last.length).toBe((size - 512) * 32);
    expect(await bytesOf('tile/1/000.p/2')).toHaveLength(64);
  });

  it('serves entry bundles whose entries hash to the tile', async () => {
    const [bundle, tile] = await Promise.all([bytesOf('tile/entries/000'), bytesOf('tile/0/000')]);
    const hashes = decodeBundle(bundle, 256).map((entry) => leafHash(entry));
    expect(Buffer.concat(hashes)).toEqual(tile);
  });

  it('answers 404, and nothing else, for whatever is not there', async () => {
    const size = await sizeNow();
    const absent = [
      `tile/0/002.p/${size - 512 + 1}`,
      'tile/0/002',
      'tile/0/003.p/1',
      'tile/2/000.p/1',
      'tile/0/000.p/0',
      'tile/0/000.p/256',
      'tile/0/0',
      'tile/0/x000/000',
      'tile/00/000',
      'tile/entries/003.p/1',
      'nothing',
    ];
    const served = [];
    for (const path of absent) if ((await get(path)).status !== 404) served.push(path);
    expect(served).toEqual([]);
  });

  it('refuses a role that may not read the whole log', async () => {
    const response = await api.fetch(`${logPath}/checkpoint`, {}, 'agent');
    expect(response.status).toBe(403);
  });

  it('takes GET only', async () => {
    expect((await api.fetch(`${logPath}/checkpoint`, { method: 'POST' })).status).toBe(400);
  });

  it('records who reads entries, and only counts tiles and checkpoints', async () => {
    const recorded = async () => {
      const { reader } = api.trails.acme;
      await reader.fresh(5000);
      return (await reader.find({ action: 'trail.read', principal: 'rosa' }, { limit: 100 })).length;
    };
    await api.fetch(`${logPath}/checkpoint`, {}, 'responder');
    await api.fetch(`${logPath}/tile/0/000`, {}, 'responder');
    expect(await recorded()).toBe(0);
    await api.fetch(`${logPath}/tile/entries/000`, {}, 'responder');
    expect(await recorded()).toBe(1);
  });

  it.skipIf(!go)('is verified by a program of somebody else', async () => {
    const program = join(folder, 'verify-log');
    await run('go', ['build', '-o', program, './verify-log'], { cwd: join(import.meta.dirname, '../go') });
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, api.tokens.acme['auditor']!, { mode: 0o600 });
    const { stdout } = await run(program, [
      '-url',
      `${api.url}${logPath}`,
      '-vkey',
      api.trails.acme.vkey,
      '-token-file',
      tokenFile,
    ]);
    expect(stdout).toContain('verified: origin=');
  });
});
