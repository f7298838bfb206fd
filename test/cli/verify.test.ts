import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeBundle, encodeBundle } from '../../domain/tree/bundle.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { emitterOf } from '../trail/events.ts';
import { cliOf } from './cli.ts';

let api: TestApi;
let folder: string;
let pristine: string;
let log: string;
let key: string[];
let cli: ReturnType<typeof cliOf>;
const next = emitterOf('verified');

beforeAll(async () => {
  api = await openTestApi();
  cli = cliOf(api);
  await api.trails.acme.writer.append(
    Array.from({ length: 600 }, () => next()),
    'platform',
  );
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-verify-'));
  pristine = join(folder, 'pristine');
  const keyFile = join(folder, 'acme.vkey');
  await writeFile(keyFile, `${api.trails.acme.vkey}\n`);
  key = ['--key-file', keyFile];
  const logUrl = ['--log', `${api.url}/log/${api.trails.acme.origin.split('/').at(-1)!}`];
  const downloaded = await cli('auditor', 'download', pristine, ...logUrl);
  if (downloaded.exit !== 0) throw new Error(downloaded.err.join());
  log = logUrl[1]!;
});
afterAll(async () => {
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

let dir: string;
let copies = 0;
beforeEach(async () => {
  dir = join(folder, `copy-${(copies += 1)}`);
  await cp(pristine, dir, { recursive: true });
});

const bundlePath = (path: string) => join(dir, 'tile/entries', path);

describe('verify', () => {
  it('holds a whole log against its key, online and in a folder', async () => {
    const online = await cli('auditor', 'verify', ...key, '--log', log);
    expect(online).toMatchObject({ exit: 0, out: [expect.stringMatching(/^verified: origin=\S+ size=\d+ root=\S+$/)] });
    const offline = await cli('nobody', 'verify', ...key, '--dir', dir, '--json');
    expect(offline.exit).toBe(0);
    expect(JSON.parse(offline.out.join('\n'))).toMatchObject({
      outcome: 'verified',
      tilesChecked: true,
      schemaChecked: true,
    });
  });

  it.each([300, 0, 255, 600])(
    'names the first bad index and what is wrong with it: entry %i altered',
    async (index) => {
      const size = Number((await readFile(join(dir, 'checkpoint'), 'utf8')).split('\n')[1]);
      const tile = Math.floor(index / 256);
      const width = Math.min(256, size - tile * 256);
      const path = bundlePath(`00${tile}${width < 256 ? `.p/${width}` : ''}`);
      const entries = decodeBundle(await readFile(path));
      const entry = entries[index % 256]!;
      const text = entry.toString().replace(/"receivedTime":"\d/, '"receivedTime":"9');
      entries[index % 256] = Buffer.from(text);
      await writeFile(path, encodeBundle(entries));
      const { exit, out } = await cli('nobody', 'verify', ...key, '--dir', dir);
      expect(exit).toBe(1);
      expect(out).toEqual([expect.stringMatching(new RegExp(`^refuted: .*\\b${index}\\b.*entry altered`))]);
      const json = await cli('nobody', 'verify', ...key, '--dir', dir, '--json');
      expect(JSON.parse(json.out.join('\n'))).toMatchObject({
        outcome: 'refuted',
        problem: { kind: 'entry-altered', index },
        entriesChecked: index,
      });
    },
  );

  it('names what is missing, and what was put into a tile', async () => {
    await rm(bundlePath('001'));
    expect(
      JSON.parse((await cli('nobody', 'verify', ...key, '--dir', dir, '--json')).out.join('\n')).problem,
    ).toMatchObject({
      kind: 'missing-entries',
      index: 256,
    });
    const tile = join(dir, 'tile/0/000');
    const bytes = await readFile(tile);
    bytes[32 * 7]! ^= 1;
    await writeFile(tile, bytes);
    expect(
      JSON.parse((await cli('nobody', 'verify', ...key, '--dir', dir, '--json')).out.join('\n')).problem,
    ).toMatchObject({
      kind: 'tile-altered',
      index: 7,
    });
  });

  it('believes nothing that is signed by another key', async () => {
    const other = ['--key', api.trails.globex.vkey];
    const { exit, out } = await cli('nobody', 'verify', ...other, '--dir', dir);
    expect(exit).toBe(1);
    expect(out.join()).toMatch(/signature|origin/);
  });

  it('shows a rollback by a checkpoint that was kept, and nothing else does', async () => {
    await api.trails.acme.writer.append([next()], 'platform');
    const kept = join(folder, 'kept');
    await writeFile(kept, `${(await cli('auditor', 'checkpoint')).out.join('\n')}\n`);
    expect((await cli('nobody', 'verify', ...key, '--dir', dir)).exit).toBe(0);
    const { exit, out } = await cli('nobody', 'verify', ...key, '--dir', dir, '--old-checkpoint', kept);
    expect(exit).toBe(1);
    expect(out.join()).toContain('rolled back');
    // The log itself has grown, and continues what was kept.
    expect((await cli('auditor', 'verify', ...key, '--log', log, '--old-checkpoint', kept)).exit).toBe(0);
  });

  it('downloads only what is new the second time', async () => {
    await api.trails.acme.writer.append([next(), next()], 'platform');
    const again = await cli('auditor', 'download', dir, '--log', log, '--json');
    const { files, size } = JSON.parse(again.out.join('\n'));
    // Two partial tiles, the partial bundle, the tile above, and the checkpoint.
    expect(files).toBeLessThanOrEqual(5);
    expect(size).toBeGreaterThan(600);
    expect((await cli('nobody', 'verify', ...key, '--dir', dir)).exit).toBe(0);
  });

  it('lets the server check itself, and ends with 3 where there is no log', async () => {
    expect((await cli('auditor', 'verify', '--server')).out.join()).toContain('verified by the server itself');
    expect((await cli('nobody', 'verify', ...key, '--dir', join(folder, 'nothing'))).exit).toBe(3);
    const agent = await cli('agent', 'verify', ...key, '--log', log);
    expect(agent).toMatchObject({
      exit: 3,
      err: [expect.stringContaining('may not read the log (operation readLog)')],
    });
  });
});
