import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../cli/main.ts';
import { openBackup, sealBackup } from '../../domain/keys/backup.ts';
import { FileKeyProvider } from '../../trail/keys/file-provider.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { joinParts, PartReader } from '../../trail/parts.ts';
import { event } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

const passphrase = 'correct horse battery staple';
const cheap = { N: 2 ** 10, r: 8, p: 1 };

let test: TestTrail;
let folder: string;
let index: number;
beforeAll(async () => {
  test = await openTestTrail();
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-backup-'));
  const [result] = await test.trail.writer.append([event({ parts: [{ name: 'after', content: 'kept' }] })], 'platform');
  if (result?.status !== 'accepted') throw new Error('not accepted');
  index = result.receipt.index;
  await writeFile(join(folder, 'passphrase'), `${passphrase}\n`, { mode: 0o600 });
});
afterAll(async () => {
  await test.close();
  await rm(folder, { recursive: true, force: true });
});

const cli = async (...args: string[]) => {
  const lines: string[] = [];
  const exit = await runCli(['keys', ...args], {
    env: {},
    cwd: folder,
    out: (line: string) => lines.push(line),
    note: (line: string) => lines.push(line),
    signal: new AbortController().signal,
  });
  return { exit, text: lines.join('\n') };
};
const withPassphrase = ['--passphrase-file', 'passphrase'];

const read = async (): Promise<string | undefined> => {
  const { reader } = test.database.clients;
  const secrets = new Secrets(test.instance, new FileKeyProvider(test.keysFolder), reader);
  const placed = (await test.trail.reader.at(index))!;
  return joinParts(placed.entry, await new PartReader(test.instance, secrets, reader).open([placed]))
    .get('after')
    ?.toString();
};

describe('a backup of the keys', () => {
  it('brings the content back after the folder was lost', async () => {
    expect(await cli('backup', '--out', 'b', '--keys-dir', test.keysFolder, ...withPassphrase)).toMatchObject({
      exit: 0,
    });
    expect((await stat(join(folder, 'b'))).mode & 0o777).toBe(0o600);
    expect(await cli('verify', '--from', 'b', ...withPassphrase)).toMatchObject({
      exit: 0,
      text: '1 epoch keys, 1 of them open under the master key',
    });
    await rm(test.keysFolder, { recursive: true });
    await expect(read()).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect(await cli('restore', '--from', 'b', '--keys-dir', test.keysFolder, ...withPassphrase)).toMatchObject({
      exit: 0,
    });
    expect(await read()).toBe('"kept"');
  });

  it('does not bring back what was destroyed since', async () => {
    const provider = new FileKeyProvider(test.keysFolder);
    const reference = await provider.createEpoch(test.instance, 7);
    expect(await cli('backup', '--out', 'b7', '--keys-dir', test.keysFolder, ...withPassphrase)).toMatchObject({
      exit: 0,
    });
    await provider.destroy(reference);
    const restored = await cli('restore', '--from', 'b7', '--keys-dir', test.keysFolder, ...withPassphrase);
    expect(restored.exit).toBe(0);
    expect(restored.text).toContain('not restored, since it was destroyed');
    await expect(provider.unlock(reference)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('overwrites no keys that differ, and no backup that is there', async () => {
    const other = join(folder, 'other');
    await new FileKeyProvider(other).createEpoch(test.instance, 1);
    const before = await readFile(join(other, 'master.key'));
    expect((await cli('restore', '--from', 'b', '--keys-dir', other, ...withPassphrase)).exit).toBe(1);
    expect(await readFile(join(other, 'master.key'))).toEqual(before);
    expect((await cli('backup', '--out', 'b', '--keys-dir', other, ...withPassphrase)).exit).toBe(2);
  });

  it('says what is wrong: the passphrase, a byte, the end, a file that others can read', async () => {
    await writeFile(join(folder, 'wrong'), 'another passphrase', { mode: 0o600 });
    expect(await cli('verify', '--from', 'b', '--passphrase-file', 'wrong')).toMatchObject({ exit: 1 });
    const bytes = await readFile(join(folder, 'b'));
    await writeFile(join(folder, 'cut'), bytes.subarray(0, -1));
    expect((await cli('verify', '--from', 'cut', ...withPassphrase)).text).toContain('does not open');
    await writeFile(join(folder, 'open'), passphrase);
    await chmod(join(folder, 'open'), 0o644);
    expect(await cli('verify', '--from', 'b', '--passphrase-file', 'open')).toMatchObject({ exit: 2 });
  });

  it('holds no key in the clear, and is another one each time', () => {
    const files = new Map([['master.key', Buffer.alloc(32, 7)]]);
    const one = sealBackup(files, passphrase, cheap);
    expect(one.includes(Buffer.alloc(32, 7).toString('base64'))).toBe(false);
    expect(sealBackup(files, passphrase, cheap)).not.toEqual(one);
    expect(openBackup(one, passphrase)).toEqual(files);
    expect(() => sealBackup(files, 'short', cheap)).toThrow('fewer than');
  });

  it('has no machine compute without end over parameters that somebody else wrote', () => {
    const sealed = sealBackup(new Map(), passphrase, cheap).toString('latin1').replace('"N":1024', '"N":1073741824');
    expect(() => openBackup(Buffer.from(sealed, 'latin1'), passphrase)).toThrow('parameters');
  });
});
