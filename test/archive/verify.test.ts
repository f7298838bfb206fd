/** An archive that somebody tampered with: the verification names the object, and what is wrong with it. */
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey, type NoteKey } from '../../domain/tree/note.ts';
import { folderStore } from '../../trail/archive/folder-store.ts';
import { checkpointName, manifestName } from '../../trail/archive/names.ts';
import { verifyArchive, type ArchiveReport } from '../../trail/archive/verify.ts';
import { testSigner } from '../tree/testSigner.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestArchive, type TestArchive } from './open.ts';

const sizes = [300, 302, 600] as const;

describe('the verification of an archive', () => {
  let test: TestArchive;
  let key: NoteKey;
  let scratch: string;
  let copies = 0;
  const kept: Buffer[] = [];

  beforeAll(async () => {
    test = await openTestArchive();
    key = parseVkey(test.trail.vkey);
    scratch = await mkdtemp(join(tmpdir(), 'trailkeeper-tampered-'));
    const next = emitterOf('verified');
    test.archiver();
    let size = 0;
    for (const end of sizes) {
      const subjects = [{ system: 'salesforce', kind: 'Contact', id: String(end) }];
      const parts = [{ name: 'after', content: { Phone: '1' }, subject: 0 }];
      await test.trail.writer.append(
        Array.from({ length: end - size }, () => next(end === 302 ? { subjects, parts } : {})),
        'platform',
      );
      await test.archived(end);
      size = end;
      kept.push(Buffer.from((await test.trail.reader.checkpoint())!.note));
    }
  });
  afterAll(async () => {
    await test.close();
    await rm(scratch, { recursive: true, force: true });
  });

  const verify = (folder: string, notes: readonly Buffer[] = []): Promise<ArchiveReport> =>
    verifyArchive(folderStore(folder), { trust: { kind: 'trusted', keys: [key] }, kept: notes });

  const copy = async (): Promise<string> => {
    copies += 1;
    const folder = join(scratch, String(copies));
    await cp(test.folder, folder, { recursive: true });
    return folder;
  };

  const change = async (path: string, alter: (bytes: Buffer) => Buffer): Promise<void> => {
    const bytes = await readFile(path);
    await chmod(path, 0o644);
    await writeFile(path, alter(bytes));
  };
  const flip = (bytes: Buffer): Buffer => {
    const copied = Buffer.from(bytes);
    copied[copied.length >> 1]! ^= 1;
    return copied;
  };

  const objects = async (): Promise<string[]> =>
    (await readdir(test.folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(test.folder.length + 1));

  it('finds nothing in one that nobody touched, and knows every checkpoint that was kept', async () => {
    expect(await verify(test.folder, kept)).toMatchObject({
      outcome: 'verified',
      origin: test.origin,
      size: 600,
      entriesChecked: 600,
      problems: [],
      younger: [],
      objects: (await objects()).length,
    });
  });

  it('names each object of which one bit was changed', async () => {
    for (const object of await objects()) {
      const folder = await copy();
      await change(join(folder, object), flip);
      const report = await verify(folder);
      expect([object, report.outcome]).toEqual([object, 'refuted']);
      expect([object, report.problems.map((problem) => problem.object)]).toEqual([
        object,
        expect.arrayContaining([object]),
      ]);
      await rm(folder, { recursive: true });
    }
  });

  it('names each object that was removed', async () => {
    for (const object of await objects()) {
      const folder = await copy();
      await rm(join(folder, object));
      const report = await verify(folder);
      expect([object, report.outcome]).toEqual([object, 'refuted']);
      await rm(folder, { recursive: true });
    }
  });

  it.each([
    'tile/0/009',
    'tile/0/000.p/7',
    'tile/entries/002.p/89',
    'payload/x',
    'checkpoints/0000/0000/0000/0400',
    'README',
  ])('names an object that was added: %s', async (object) => {
    const folder = await copy();
    await mkdir(dirname(join(folder, object)), { recursive: true });
    await writeFile(join(folder, object), 'added');
    expect(await verify(folder)).toMatchObject({ outcome: 'refuted', problems: [{ kind: 'added', object }] });
  });

  it('is not misled by a later checkpoint that another key signed', async () => {
    const folder = await copy();
    const other = testSigner(test.origin, Buffer.alloc(32, 7));
    const note = signCheckpoint({ origin: test.origin, size: 9000, root: Buffer.alloc(32) }, [other]);
    const object = checkpointName(9000);
    await mkdir(dirname(join(folder, object)), { recursive: true });
    await writeFile(join(folder, object), note);
    await mkdir(dirname(join(folder, manifestName(9000))), { recursive: true });
    await cp(join(folder, manifestName(600)), join(folder, manifestName(9000)));
    const report = await verify(folder);
    expect(report).toMatchObject({ outcome: 'refuted', size: 600, entriesChecked: 600 });
    expect(report.problems.map((problem) => problem.object).toSorted()).toEqual(
      [object, manifestName(9000)].toSorted(),
    );
  });

  it('tells what is younger than the archive, by a checkpoint that was kept elsewhere', async () => {
    const folder = await copy();
    for (const name of [checkpointName(600), manifestName(600)]) await rm(join(folder, name));
    const report = await verify(folder, kept);
    expect(report).toMatchObject({ size: 302, younger: [600] });
    // What the range of the lost checkpoint wrote is known by no range any more.
    expect(new Set(report.problems.map(({ kind }) => kind))).toEqual(new Set(['added', 'altered']));
  });

  it('finds that a checkpoint that was kept elsewhere is of another log', async () => {
    // As if the signing key had been stolen: another key that is trusted signs another history.
    const thief = testSigner(test.origin, Buffer.alloc(32, 7));
    const fork = (size: number) => signCheckpoint({ origin: test.origin, size, root: Buffer.alloc(32, 1) }, [thief]);
    const trust = { kind: 'trusted' as const, keys: [key, thief] };
    for (const size of [302, 301]) {
      const report = await verifyArchive(test.store, { trust, kept: [fork(size)] });
      expect(report).toMatchObject({ outcome: 'refuted', problems: [{ kind: 'contradicted' }] });
      expect(report.problems[0]!.message).toContain(`size ${size}`);
    }
  });

  it('says that a folder without an archive holds none', async () => {
    expect(await verify(join(scratch, 'nothing'))).toMatchObject({ outcome: 'refuted', size: 0 });
  });
});
