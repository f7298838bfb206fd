/**
 * The log judged from outside: by golang.org/x/mod alone, by Tessera's fsck and by torchwood, on the served log, on a copy of it, on
 * its archive and on single proofs; with the cosignatures of a real witness, and a checkpoint that was kept.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Timestamp } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mongoAnchor } from '../../trail/anchor.ts';
import { WitnessLoop } from '../../trail/witness/loop.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { openTestArchive } from '../archive/open.ts';
import { cliOf, type Ran } from '../cli/cli.ts';
import { goBuild, goProgram, isThere, pathOf, type Program } from '../setup/programs.ts';
import { emitterOf } from '../trail/events.ts';
import { litewitness, startWitness, type Witness } from './litewitness.ts';

const goFolder = join(import.meta.dirname, '../go');
const judgedWithinMs = 60_000;
/** On a log that does not hold, fsck never ends: it tries again for ever. */
const fsckRefutesMs = 10_000;

const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-outside-'));
const fsck = await goProgram('github.com/transparency-dev/tessera/cmd/fsck@v1.0.4', 'fsck');
const verifyLog = await goBuild(goFolder, 'verify-log', folder);
const verifyProof = await goBuild(join(goFolder, 'verify-proof'), 'verify-proof', folder, '.');
const all = [litewitness, fsck, verifyLog, verifyProof];

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Verdict {
  readonly exit: number;
  readonly said: string;
}

const judge = (program: Program, ...args: string[]): Promise<Verdict> => judgeWithin(judgedWithinMs, program, args);

const judgeWithin = (timeout: number, program: Program, args: readonly string[]): Promise<Verdict> =>
  new Promise((resolve) => {
    const child = execFile(pathOf(program), [...args], { timeout }, (_error, stdout, stderr) =>
      resolve({ exit: child.exitCode ?? -1, said: `${stdout}${stderr}` }),
    );
  });

/** fsck ends with 0 whatever it finds: what it says counts. */
const fscked = async (storage: string, vkeyFile: string, token = '', timeoutMs = judgedWithinMs): Promise<boolean> => {
  const args = [
    '-ui=false',
    '-storage_url',
    storage,
    '-public_key',
    vkeyFile,
    ...(token ? ['-bearer_token', token] : []),
  ];
  return (await judgeWithin(timeoutMs, fsck, args)).said.includes("Successfully fsck'd");
};

describe.skipIf(all.map(isThere).includes(false))('a log with a witness', () => {
  let api: TestApi;
  let witness: Witness;
  let other: Witness;
  let loop: WitnessLoop;
  let cli: (as: 'auditor' | 'admin', ...argv: string[]) => Promise<Ran>;
  let url: string;
  let vkey: string;
  const files = { token: join(folder, 'token'), vkey: join(folder, 'vkey'), kept: join(folder, 'kept') };
  const next = emitterOf('outside');
  const grow = (count: number) =>
    api.trails.acme.writer.append(
      Array.from({ length: count }, () => next()),
      'platform',
    );

  beforeAll(async () => {
    api = await openTestApi();
    const { trails, ids, database } = api;
    ({ vkey } = trails.acme);
    url = `${api.url}/log/${trails.acme.origin.split('/').at(-1)!}`;
    cli = cliOf(api, folder);
    witness = await startWitness('witness.example/auditor');
    other = await startWitness('witness.example/other');
    witness.add(trails.acme.origin, vkey);
    loop = new WitnessLoop({
      client: database.clients.witness,
      anchor: mongoAnchor(database.clients.witness),
      owner: randomUUID(),
      intervalMs: 1000,
      witness: { loopback: true, timeoutMs: 20_000 },
      originOf: async (instance) => (instance === ids.acme ? trails.acme.origin : undefined),
      record: async () => undefined,
      recordStatement: async () => undefined,
      wasMissed: async () => false,
      onEvent: (event) => {
        if (event.kind === 'error' && event.instance === ids.acme) console.error(event.error);
      },
    });
    await writeFile(files.token, api.tokens.acme.auditor!, { mode: 0o600 });
    await writeFile(files.vkey, vkey);
    await grow(300);
    const configured = await cli('admin', 'configure-witnesses', '--witness', `${witness.vkey} ${witness.url}`);
    if (configured.exit !== 0) throw new Error(configured.err.join('\n'));
    // Not in the first seconds of the policy: what is served has the quorum, whatever was appended since.
    await database.admin
      .db('tk_control')
      .collection<{ _id: string }>('witnesses')
      .updateOne({ _id: ids.acme }, { $set: { at: new Timestamp({ t: Math.floor(Date.now() / 1000) - 3600, i: 1 }) } });
    await loop.round();
    const kept = await cli('auditor', 'checkpoint');
    await writeFile(files.kept, `${kept.out.join('\n')}\n`);
    await grow(300);
    await loop.round();
  });
  afterAll(async () => {
    await witness?.close();
    await other?.close();
    await api?.close();
  });

  const served = () => ['-url', url, '-vkey', vkey, '-token-file', files.token];

  it('is verified as it is served, with the cosignature and an older checkpoint', async () => {
    const verdict = await judge(verifyLog, ...served(), '-witness', witness.vkey, '-old-checkpoint', files.kept);
    expect(verdict).toMatchObject({ exit: 0, said: expect.stringContaining('verified: origin=') });
  });

  it('is refused by whoever demands a witness that did not cosign it', async () => {
    const two = ['-witness', witness.vkey, '-witness', other.vkey];
    expect(await judge(verifyLog, ...served(), ...two)).toMatchObject({
      exit: 1,
      said: expect.stringContaining('not witnessed: 1 of 2 witnesses cosigned it, 2 must'),
    });
    expect(await judge(verifyLog, ...served(), ...two, '-quorum', '1')).toMatchObject({ exit: 0 });
  });

  it("passes Tessera's fsck as it is served", async () => {
    expect(await fscked(url, files.vkey, api.tokens.acme.auditor)).toBe(true);
  });

  it('says in GraphQL and on the command line how far its witnesses are', async () => {
    const { data } = await api.ask(
      '{ witnesses { quorum size cosigned quorumSize witnesses { name size time contradiction { kind } } } }',
    );
    expect(data.witnesses).toMatchObject({ quorum: 1, witnesses: [{ name: witness.name, contradiction: null }] });
    expect(data.witnesses.quorumSize).toBe(data.witnesses.witnesses[0].size);
    expect(await cli('auditor', 'witnesses')).toMatchObject({ exit: 0 });
  });

  it('is verified by our own verifier with the same demands', async () => {
    const key = ['--log', url, '--key', vkey];
    const { exit, out } = await cli(
      'auditor',
      'verify',
      ...key,
      '--witness',
      witness.vkey,
      '--old-checkpoint',
      files.kept,
    );
    expect([exit, out.join('\n')]).toEqual([0, expect.stringContaining('verified: origin=')]);
    const refused = await cli('auditor', 'verify', ...key, '--witness', other.vkey);
    expect([refused.exit, refused.out.at(-1)]).toEqual([1, expect.stringContaining('not witnessed: 0 of 1')]);
  });

  it('is verified in a copy; a copy that was rolled back passes fsck, and fails against the kept checkpoint', async () => {
    const older = join(folder, 'older');
    const newer = join(folder, 'newer');
    expect(await cli('auditor', 'download', older, '--log', url)).toMatchObject({ exit: 0 });
    await grow(20);
    await loop.round();
    expect(await cli('auditor', 'download', newer, '--log', url)).toMatchObject({ exit: 0 });
    const pinned = ['-old-checkpoint', join(newer, 'checkpoint')];
    expect(await judge(verifyLog, '-dir', newer, '-vkey', vkey, '-witness', witness.vkey)).toMatchObject({ exit: 0 });
    expect(await fscked(`file://${older}`, files.vkey)).toBe(true);
    expect(await judge(verifyLog, '-dir', older, '-vkey', vkey, ...pinned)).toMatchObject({
      exit: 1,
      said: expect.stringContaining('rolled back'),
    });
  });

  it('passes none of them where a byte of an entry or a tile was changed', async () => {
    const copy = join(folder, 'changed');
    expect(await cli('auditor', 'download', copy, '--log', url)).toMatchObject({ exit: 0 });
    const tampered: string[] = [];
    for (const path of ['tile/entries/001', 'tile/0/001']) {
      const changed = join(folder, randomUUID());
      await cp(copy, changed, { recursive: true });
      const bytes = await readFile(join(changed, path));
      bytes[100]! ^= 1;
      await writeFile(join(changed, path), bytes);
      expect(await judge(verifyLog, '-dir', changed, '-vkey', vkey)).toMatchObject({ exit: 1 });
      tampered.push(changed);
    }
    // It takes its time to find nothing: once is enough.
    expect(await fscked(`file://${tampered[0]}`, files.vkey, '', fsckRefutesMs)).toBe(false);
  });

  it('gives proofs that three verifiers take offline, and that none takes for another entry', async () => {
    const [receipt] = await grow(1);
    await loop.round();
    const event = receipt?.status === 'accepted' ? receipt.receipt.id : '';
    await api.trails.acme.reader.fresh(10_000);
    expect(await cli('auditor', 'prove', '--event', event, '--out', 'proven')).toMatchObject({ exit: 0 });
    const [proof, entry, changed] = ['proven.tlog-proof', 'proven.json', 'changed.json'].map((name) =>
      join(folder, name),
    );
    await writeFile(changed!, (await readFile(entry!, 'utf8')).replace('"', "'"));
    const go = ['-vkey', vkey, '-witness', witness.vkey, '-proof', proof!, '-entry'];
    const ours = (path: string, by: string) =>
      cli('auditor', 'check-proof', proof!, path, '--key', vkey, '--witness', by);
    expect((await judge(verifyProof, ...go, entry!)).said).toBe('verified\n');
    expect((await judge(verifyLog, ...go, entry!)).said).toContain('verified: index=');
    expect(await ours(entry!, witness.vkey)).toMatchObject({ exit: 0 });
    expect(await judge(verifyProof, ...go, changed!)).toMatchObject({ exit: 1 });
    expect(await judge(verifyLog, ...go, changed!)).toMatchObject({ exit: 1 });
    expect(await ours(changed!, witness.vkey)).toMatchObject({ exit: 1 });
    expect(await ours(entry!, other.vkey)).toMatchObject({ exit: 1 });
  });
});

describe.skipIf(![fsck, verifyLog].every(isThere))('the archive of a log', () => {
  it('is verified by the same programs', async () => {
    const archive = await openTestArchive();
    try {
      const next = emitterOf('archived');
      for (const count of [300, 1, 270])
        await archive.trail.writer.append(
          Array.from({ length: count }, () => next()),
          'platform',
        );
      archive.archiver();
      await archive.archived(571);
      const vkeyFile = join(archive.keysFolder, 'vkey');
      await writeFile(vkeyFile, archive.trail.vkey);
      expect(await judge(verifyLog, '-dir', archive.folder, '-vkey', archive.trail.vkey)).toMatchObject({
        exit: 0,
        said: expect.stringContaining('size=571'),
      });
      expect(await fscked(`file://${archive.folder}`, vkeyFile)).toBe(true);
    } finally {
      await archive.close();
    }
  });
});
