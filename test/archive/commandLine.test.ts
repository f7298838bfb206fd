/** What an operator does with archives, from the command line: the real processes, on the installation's own settings. */
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { runCli } from '../../cli/main.ts';
import { passwordSetting } from '../../stack/settings.ts';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { duties } from '../../store/provisioning/duties.ts';
import { testPasswords } from '../setup/database.ts';
import { emitterOf } from '../trail/events.ts';
import { loseInstance } from './loss.ts';
import { openTestArchive, type TestArchive } from './open.ts';

let test: TestArchive;
let folder: string;
const files = { key: '', kept: '' };

beforeAll(async () => {
  test = await openTestArchive();
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-recovery-'));
  await mkdir(join(folder, 'archives'));
  await symlink(test.folder, join(folder, 'archives', test.instance));
  files.key = join(folder, 'acme.vkey');
  files.kept = join(folder, 'kept');
  await writeFile(files.key, `${test.trail.vkey}\n`);
  const next = emitterOf('command-line');
  const owner = test.archiver();
  await test.trail.writer.append(
    Array.from({ length: 300 }, () => next()),
    'platform',
  );
  await test.archived(300);
  await owner.stop();
  await test.trail.writer.append([next(), next()], 'platform');
  await writeFile(files.kept, (await test.trail.reader.checkpoint())!.note);
});
afterAll(async () => {
  await test.close();
  await rm(folder, { recursive: true, force: true });
});

const cli = async (...argv: readonly string[]) => {
  const out: string[] = [];
  const err: string[] = [];
  const exit = await runCli(argv, {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      MONGODB_URI: inject('mongodbAdminUri'),
      TRAILKEEPER_DATA_DIR: join(folder, 'data'),
      TRAILKEEPER_KEYS_DIR: test.keysFolder,
      TRAILKEEPER_ARCHIVE: join(folder, 'archives'),
      ...Object.fromEntries(duties.map((duty) => [passwordSetting(duty), testPasswords[duty]])),
    },
    out: (line) => out.push(line),
    note: (line) => err.push(line),
  });
  return { exit, out, err };
};

describe('trailkeeper archive verify', () => {
  it('says that an archive holds, by which origin, size and root', async () => {
    const { exit, out } = await cli('archive', 'verify', '--instance', test.instance, '--key-file', files.key);
    expect(out).toEqual([expect.stringMatching(`^${test.instance}: verified: origin=${test.origin} size=300 root=`)]);
    expect(exit).toBe(0);
  });

  it('says what is younger, and warns where it takes the archive at its own word', async () => {
    const young = await cli(
      'archive',
      'verify',
      '--instance',
      test.instance,
      '--key-file',
      files.key,
      '--checkpoint',
      files.kept,
      '--json',
    );
    expect(JSON.parse(young.out[0]!)).toMatchObject({ instance: test.instance, outcome: 'verified', younger: [302] });
    const { exit, err } = await cli('archive', 'verify', '--instance', test.instance);
    expect([exit, err.join('\n')]).toEqual([0, expect.stringContaining('on its own word')]);
  });

  it('names what was altered, with exit code 1', async () => {
    const path = join(test.folder, 'tile/entries/000');
    const bytes = await readFile(path);
    await chmod(path, 0o644);
    await writeFile(path, Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]));
    const { exit, out } = await cli('archive', 'verify', '--instance', test.instance, '--key-file', files.key);
    expect([exit, out[0]]).toEqual([1, expect.stringContaining('altered: tile/entries/000')]);
    await writeFile(path, bytes);
  });

  it.each([[['archive', 'verify', '--instance', '../etc']], [['archive', 'nonsense']], [['rebuild', 'approve']]])(
    'ends with 2 where it is used wrongly: %j',
    async (argv) => {
      expect((await cli(...argv)).exit).toBe(2);
    },
  );
});

describe('trailkeeper rebuild', () => {
  it('refuses, with exit code 3, to write over a record', async () => {
    const { exit, err } = await cli('rebuild', '--instance', test.instance, '--key-file', files.key);
    expect([exit, err.at(-1)]).toEqual([3, expect.stringContaining('REBUILD_REFUSED')]);
  });

  it('restores an instance, and says what is lost and how it goes on', async () => {
    const record = () =>
      test.database.admin.db(instanceDatabase(test.instance)).collection('record').find().sort({ _id: 1 }).toArray();
    const before = (await record()).filter(({ _id }) => typeof _id !== 'number' || _id < 300);
    await loseInstance(test.database.admin, test.instance, test.origin);
    const { exit, out, err } = await cli(
      'rebuild',
      '--instance',
      test.instance,
      '--key-file',
      files.key,
      '--checkpoint',
      files.kept,
    );
    expect([exit, out]).toEqual([
      0,
      [
        `${test.instance}: rebuilt: 300 entries of ${test.origin}, verified against the archived checkpoint`,
        `${test.instance}: LOST: the entries from 300 to 301 had been given out and are not in the archive`,
        expect.stringContaining('rebuild approve --size 300'),
      ],
    ]);
    expect(err.join('\n')).toContain('record: 300 of 300 entries');
    expect(await record()).toEqual(expect.arrayContaining(before.filter(({ _id }) => typeof _id === 'number')));
    // No secret in what it says.
    for (const password of Object.values(testPasswords)) expect([...out, ...err].join('\n')).not.toContain(password);
  });
});
