import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { encodeVkey } from '../../domain/tree/note.ts';
import { buildGoVerifier, runGoTests, runGoVerifier } from './goVerifier.ts';
import { changeFile, writeLogFolder } from './logFolder.ts';
import { referenceRoot } from './reference.ts';
import { sampleEntries } from './sampleEntries.ts';
import { tamperedSize, tamperings } from './tampering.ts';
import { testSigner } from './testSigner.ts';

const origin = 'log.example/4f1c';
const signer = testSigner(origin, Buffer.alloc(32, 1));
const vkey = encodeVkey(signer);

describe.skipIf(!runGoTests)('the verifier in Go', () => {
  let program = '';
  let parent = '';
  let intact = '';
  let server: Server;
  let url = '';
  const entries = sampleEntries(tamperedSize);

  beforeAll(async () => {
    program = buildGoVerifier();
    parent = mkdtempSync(join(tmpdir(), 'trailkeeper-go-log-'));
    intact = join(parent, 'intact');
    writeLogFolder(intact, entries, signer);
    server = createServer((request, response) => {
      if (request.headers.authorization !== 'Bearer sesame') return response.writeHead(401).end();
      try {
        return response.end(readFileSync(join(intact, request.url!.slice('/logs/4f1c/'.length))));
      } catch {
        return response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs/4f1c/`;
    writeFileSync(join(parent, 'token'), 'sesame\n');
    writeFileSync(join(parent, 'vkey'), `${vkey}\n`);
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(parent, { recursive: true });
    rmSync(dirname(program), { recursive: true });
  });

  const verify = async (folder: string, ...more: string[]) =>
    runGoVerifier(program, ['-dir', folder, '-vkey', vkey, ...more]);
  const verdict = (stdout: string, exitCode = 1) => ({ exitCode, stdout: `${stdout}\n`, stderr: '' });

  it('verifies an intact log', async () => {
    const root = referenceRoot(entries).toString('base64');
    expect(await verify(intact)).toEqual(verdict(`verified: origin=${origin} size=3000 root=${root}`, 0));
  });

  it('verifies it over HTTP with a token and a key from files, and not without the token', async () => {
    const args = ['-url', url, '-vkey-file', join(parent, 'vkey')];
    const allowed = await runGoVerifier(program, [...args, '-token-file', join(parent, 'token')]);
    expect(allowed).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^verified: .* size=3000 /) });
    expect(await runGoVerifier(program, args)).toEqual(
      verdict("not verified: checkpoint: can't be read: the server answers 401 Unauthorized"),
    );
  });

  it('says that the token may be of another instance where the server has no checkpoint', async () => {
    const elsewhere = ['-url', `${url}none/`, '-vkey', vkey, '-token-file', join(parent, 'token')];
    expect(await runGoVerifier(program, elsewhere)).toEqual(
      verdict('not verified: checkpoint: is missing (or the token is not of this instance)'),
    );
  });

  it.each([0, 1, 255, 256, 257, 512, 513, 773])('verifies a log of %i entries', async (size) => {
    const folder = mkdtempSync(join(parent, 'size-'));
    writeLogFolder(folder, entries.slice(0, size), signer);
    expect(await verify(folder)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(` size=${size} `) });
  });

  it.each(tamperings)('refutes a log with $name, and names the fault', async ({ tamper, says }) => {
    const folder = mkdtempSync(join(parent, 'tampered-'));
    cpSync(intact, folder, { recursive: true });
    tamper(folder, signer);
    const { exitCode, stdout, stderr } = await verify(folder);
    expect({ exitCode, stderr, lines: stdout.trimEnd().split('\n').length }).toEqual({
      exitCode: 1,
      stderr: '',
      lines: 1,
    });
    expect(stdout.trimEnd().replace('not verified: ', '')).toMatch(says);
    rmSync(folder, { recursive: true });
  });

  it('sees an altered tile that tlog.TileHashReader of x/mod v0.33.0 lets pass', async () => {
    // 773 leaves have four subtrees in their right edge, in two tiles: the reader then skips two children.
    const folder = mkdtempSync(join(parent, 'skipped-'));
    writeLogFolder(folder, entries.slice(0, 773), signer);
    changeFile(folder, 'tile/0/000', (tile) => {
      tile[5 * 32]! ^= 1;
      return tile;
    });
    expect(await verify(folder)).toEqual(
      verdict('not verified: index 5: tile altered: tile/0/000 is inconsistent with the checkpoint, the entry is not'),
    );
  });

  it('reads a log of more than 65,536 entries, and locates a fault in its second row of tiles', async () => {
    const folder = mkdtempSync(join(parent, 'large-'));
    writeLogFolder(folder, sampleEntries(66_000), signer);
    expect(await verify(folder)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(' size=66000 ') });
    changeFile(folder, 'tile/1/000', (tile) => {
      tile[200 * 32]! ^= 4;
      return tile;
    });
    expect(await verify(folder)).toEqual(
      verdict('not verified: index 51200 to 51455: tile altered: tile/1/000 is inconsistent with the checkpoint'),
    );
    rmSync(folder, { recursive: true });
  });

  it.each([
    ['confirms an older checkpoint', 1500, entries, 0, /^verified: /],
    [
      'sees a rollback',
      3001,
      sampleEntries(3001),
      1,
      /^not verified: index 3000: rolled back: an older checkpoint has size 3001, this one 3000$/,
    ],
    [
      'sees a fork',
      1500,
      entries.with(3, Buffer.from('other')),
      1,
      /^not verified: index 0 to 1499: forked: the log of size 3000 does not extend the older checkpoint of size 1500$/,
    ],
  ])('%s', async (_, size, of, exitCode, says) => {
    const file = join(parent, `older-${size}-${exitCode}`);
    writeFileSync(file, signCheckpoint({ origin, size, root: referenceRoot(of.slice(0, size)) }, [signer]));
    const result = await verify(intact, '-old-checkpoint', file);
    expect(result.exitCode).toBe(exitCode);
    expect(result.stdout.trimEnd()).toMatch(says);
  });

  it('believes no key but the one that it is given', async () => {
    const other = encodeVkey(testSigner(origin, Buffer.alloc(32, 2)));
    expect(await runGoVerifier(program, ['-dir', intact, '-vkey', other])).toEqual(
      verdict('not verified: checkpoint: note has no verifiable signatures'),
    );
  });

  it.each([
    ['nothing', []],
    ['two logs', ['-dir', 'a', '-url', 'b', '-vkey', vkey]],
    ['no key', ['-dir', 'a']],
    ['a token for a folder', ['-dir', 'a', '-vkey', vkey, '-token-file', 'x']],
    ['an unknown flag', ['-nonsense']],
    ['a key file that is not there', ['-dir', '.', '-vkey-file', '/nonexistent']],
  ])('exits with 2 when given %s', async (_, args) => {
    expect(await runGoVerifier(program, args)).toMatchObject({ exitCode: 2, stdout: '' });
  });

  it('exits with 2 when given a key that is none', async () => {
    expect(await runGoVerifier(program, ['-dir', intact, '-vkey', 'nonsense'])).toMatchObject({
      exitCode: 2,
      stdout: '',
    });
  });
});
