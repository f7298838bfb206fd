/** The archive, tampered with, and the record tampered with where only the archive can tell. */
import { chmod, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Binary, Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Difference } from '../../domain/verification/difference.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { instanceDatabase } from '../../trail/database.ts';
import { PartReader } from '../../trail/parts.ts';
import { checkArchive, checkNewestArchived, type VerifiedArchive } from '../../trail/verification/archive-check.ts';
import type { VerifiedLog } from '../../trail/verification/verified-log.ts';
import { openTestArchive, type TestArchive } from '../archive/open.ts';
import { event } from '../trail/events.ts';

let test: TestArchive;
let log: VerifiedLog;
let archive: VerifiedArchive;
beforeAll(async () => {
  test = await openTestArchive();
  for (const size of [40, 60])
    await test.trail.writer.append(
      Array.from({ length: size }, () => event()),
      'platform',
    );
  const tail = test.archiver();
  await test.archived(100);
  await tail.stop();
  const { reader } = test.database.clients;
  const { instance, keys } = test;
  const logKeys = await test.trail.signing.keys();
  const parts = new PartReader(instance, new Secrets(instance, keys, reader), reader);
  log = { instance, origin: test.origin, keys: logKeys, client: reader, parts };
  archive = { store: test.store, trust: { kind: 'trusted', keys: logKeys } };
});
afterAll(() => test.close());

const check = async () => (await checkArchive(log, archive)).differences;
const like = (found: readonly Partial<Difference>[]) => found.map((one) => expect.objectContaining(one) as Difference);

/** Objects of the archive whose names begin so. */
const named = async (prefix: string): Promise<string[]> =>
  (await readdir(test.folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(test.folder.length + 1))
    .filter((name) => name.startsWith(prefix))
    .toSorted();

/** Does something to a file as whoever owns the disk, looks, and puts it back. */
const withFile = async (name: string, tamper: (path: string, bytes: Buffer) => Promise<unknown>) => {
  const path = join(test.folder, name);
  const bytes = await readFile(path);
  await chmod(path, 0o600);
  await tamper(path, bytes);
  try {
    return await check();
  } finally {
    await writeFile(path, bytes);
  }
};

const flip = async (path: string, bytes: Buffer) => {
  const changed = Buffer.from(bytes);
  changed[Math.floor(changed.length / 2)]! ^= 1;
  await writeFile(path, changed);
};

describe('an archive that nobody touched', () => {
  it('agrees with the record and with what was signed', async () => {
    const { differences, looked } = await checkArchive(log, archive);
    expect(differences).toEqual([]);
    expect(looked.objects).toBeGreaterThan(5);
  });
});

describe('in the archive', () => {
  it.each(['tile/entries/', 'payload/', 'segments/', 'tile/0/'])(
    'an altered object under %s is named',
    async (prefix) => {
      const [name] = await named(prefix);
      expect(await withFile(name!, flip)).toEqual(
        expect.arrayContaining(like([{ kind: 'archive-altered', store: 'archive', place: `archive/${name}` }])),
      );
    },
  );

  it('a removed object is named', async () => {
    const [name] = await named('payload/');
    expect(await withFile(name!, (path) => rm(path))).toEqual(
      like([{ kind: 'archive-missing', store: 'archive', place: `archive/${name}` }]),
    );
  });

  it('an added object is named', async () => {
    const path = join(test.folder, 'tile/0/999');
    await writeFile(path, 'x');
    const found = await check();
    await rm(path);
    expect(found).toEqual(like([{ kind: 'archive-surplus', store: 'archive', place: 'archive/tile/0/999' }]));
  });
});

describe('in the record, where only the archive can tell', () => {
  const record = () => test.database.admin.db(instanceDatabase(test.instance)).collection<Document>('record');

  it('a list of boxes that leads elsewhere is named, also to whoever may not decrypt', async () => {
    const segment = (await record().findOne({ _id: 40 as never }))!;
    const other = (await record().findOne({ _id: 0 as never }))!;
    const [listed] = segment['boxes'] as Document[];
    const { id } = (other['boxes'] as { id: Binary }[])[0]!;
    await record().replaceOne({ _id: 40 as never }, { ...segment, boxes: [{ ...listed, id }] });
    const { parts: _parts, ...blind } = log;
    const { differences } = await checkArchive(blind, archive);
    await record().replaceOne({ _id: 40 as never }, segment);
    expect(differences).toEqual(like([{ kind: 'box-list-altered', store: 'record', index: 40, lastIndex: 99 }]));
  });

  it('checkpoints that were rolled back with the record are named', async () => {
    const anchors = test.database.admin.db('tk_control').collection<Document>('anchors');
    const newest = (await anchors.findOne({ _id: { $regex: `^${test.origin}#` } } as never, { sort: { _id: -1 } }))!;
    await anchors.deleteOne({ _id: newest._id });
    const { differences } = await checkNewestArchived(log, archive);
    await anchors.insertOne(newest);
    expect(differences).toEqual(like([{ kind: 'inconsistent-with-older', store: 'archive', index: 99 }]));
  });
});
