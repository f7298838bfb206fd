import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../cli/main.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { cliOf } from '../cli/cli.ts';
import { emitterOf } from '../trail/events.ts';

let api: TestApi;
let folder: string;
let cli: ReturnType<typeof cliOf>;
const next = emitterOf('evidence-cli');
const correlationId = 'cd'.repeat(16);
const entries = 900;

beforeAll(async () => {
  api = await openTestApi();
  await api.trails.acme.writer.append(
    Array.from({ length: entries }, () => next({ correlationId })),
    'platform',
  );
});
afterAll(() => api.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-cli-'));
  cli = cliOf(api, folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('trailkeeper evidence', () => {
  it('exports with progress and verifies, in two commands', async () => {
    const exported = await cli('auditor', 'evidence', 'export', '--correlation', correlationId, '--out', 'pack.tar.gz');
    expect(exported.exit).toBe(0);
    expect(exported.out[0]).toContain(`${entries} entries in ${join(folder, 'pack.tar.gz')}`);
    expect(exported.err).toEqual([`${entries} of ${entries} entries`]);
    expect((await stat(join(folder, 'pack.tar.gz'))).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['pack.tar.gz']);
    const verified = await cli('nobody', 'evidence', 'verify', 'pack.tar.gz', '--key', api.trails.acme.vkey);
    expect(verified.exit).toBe(0);
    expect(verified.out.at(-1)).toMatch(/^VERIFIED/);
  });

  it('takes the key of --as from the credentials file, and calls nothing verified without one', async () => {
    await cli('auditor', 'evidence', 'export', '--from', '0', '--to', '3', '--out', 'pack.tar.gz');
    const credentials = {
      endpoint: `${api.url}/graphql`,
      instances: { acme: { log: 'http://x', vkey: api.trails.acme.vkey, tokens: { auditor: 'x' } } },
    };
    await writeFile(join(folder, 'credentials.json'), JSON.stringify(credentials));
    const known = ['--credentials', 'credentials.json', '--as', 'acme/auditor'];
    expect((await cli('nobody', 'evidence', 'verify', 'pack.tar.gz', ...known)).exit).toBe(0);
    expect((await cli('nobody', 'evidence', 'verify', 'pack.tar.gz')).exit).toBe(1);
  });

  it('writes over nothing, and says what is wrong with how it is used', async () => {
    await writeFile(join(folder, 'there'), 'mine');
    for (const argv of [
      ['export', '--correlation', correlationId, '--out', 'there'],
      ['export', '--correlation', correlationId],
      ['export', '--out', 'new'],
      ['export', '--from', 'x', '--out', 'new'],
      ['export', '--run', 'a', '--from', '1', '--out', 'new'],
      ['verify'],
      ['import'],
      ['verify', 'absent'],
    ])
      expect([argv, (await cli('auditor', 'evidence', ...argv)).exit]).toEqual([argv, 2]);
    expect(await readFile(join(folder, 'there'), 'utf8')).toBe('mine');
    expect(await readdir(folder)).toEqual(['there']);
  });

  it('says what the API refused', async () => {
    const refused = await cli('agent', 'evidence', 'export', '--correlation', correlationId, '--out', 'pack');
    expect(refused).toMatchObject({ exit: 3, err: [expect.stringContaining('FORBIDDEN')] });
    const absent = await cli('auditor', 'evidence', 'export', '--correlation', 'ef'.repeat(16), '--out', 'pack');
    expect(absent).toMatchObject({ exit: 3, err: [expect.stringContaining('NOT_FOUND')] });
    expect(await readdir(folder)).toEqual([]);
  });
});

interface Cuts {
  /** So many packs break off in the middle. */
  left: number;
  /** Called in the middle instead; the rest never comes. */
  stalled?: (() => void) | undefined;
}

/** Hands requests on, and packs only in part where it is told to. */
const cuttingProxy = async (target: string, cuts: Cuts): Promise<{ server: Server; url: string }> => {
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = await fetch(`${target}${request.url}`, {
        method: request.method!,
        headers: { authorization: request.headers.authorization!, 'content-type': 'application/json' },
        ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
      });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type')! });
      const body = Buffer.from(await answer.arrayBuffer());
      const isPack = request.url!.startsWith('/evidence/');
      const half = body.subarray(0, body.length / 2);
      if (isPack && cuts.stalled) response.write(half, cuts.stalled);
      else if (isPack && cuts.left > 0) {
        cuts.left -= 1;
        response.write(half, () => response.destroy());
      } else response.end(body);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
};

describe('an export whose connection breaks', () => {
  const cuts: Cuts = { left: 0 };
  let proxy: Awaited<ReturnType<typeof cuttingProxy>>;
  beforeAll(async () => {
    proxy = await cuttingProxy(api.url, cuts);
  });
  afterAll(() => {
    proxy.server.closeAllConnections();
    proxy.server.close();
  });

  it('is begun anew, and ends with a whole pack', async () => {
    cuts.left = 2;
    const through = cliOf({ url: proxy.url, tokens: api.tokens }, folder);
    const { exit, err } = await through(
      'auditor',
      'evidence',
      'export',
      '--correlation',
      correlationId,
      '--out',
      'pack',
    );
    expect(exit).toBe(0);
    expect(err.filter((line) => line.endsWith('beginning anew'))).toHaveLength(2);
    expect(await readdir(folder)).toEqual(['pack']);
    expect((await cli('nobody', 'evidence', 'verify', 'pack', '--key', api.trails.acme.vkey)).exit).toBe(0);
  });

  it('leaves nothing behind where it does not come through at all', async () => {
    cuts.left = 3;
    const through = cliOf({ url: proxy.url, tokens: api.tokens }, folder);
    const ran = await through('auditor', 'evidence', 'export', '--correlation', correlationId, '--out', 'pack');
    expect(ran.exit).toBe(4);
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves nothing behind where it is interrupted', async () => {
    const interrupted = new AbortController();
    cuts.stalled = () => interrupted.abort();
    const exit = await runCli(['evidence', 'export', '--correlation', correlationId, '--out', 'pack'], {
      env: { TRAILKEEPER_ENDPOINT: `${proxy.url}/graphql`, TRAILKEEPER_TOKEN: api.tokens.acme.auditor! },
      cwd: folder,
      out: () => undefined,
      note: () => undefined,
      signal: interrupted.signal,
    });
    cuts.stalled = undefined;
    expect(exit).toBe(4);
    expect(await readdir(folder)).toEqual([]);
  });
});
