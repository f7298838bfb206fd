/** The record, tampered with by MongoDB's root: each drill is named by its kind and by the first bad index. */
import { Binary, type Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestLog, type TestLog } from '../verification/open.ts';

/** Segments at 0, 100, 300, 350, 650, 700, 900: two full tiles and more, 1,000 entries. */
const batches = [100, 200, 50, 300, 50, 200, 100];

let test: TestLog;
let kept: Document[];
beforeAll(async () => {
  test = await openTestLog();
  await test.appendBatches(batches);
  kept = await test.as('record').find().toArray();
});
afterAll(() => test.close());

const segment = (first: number): Document => kept.find(({ _id }) => _id === first)!;

/** Tampers, checks, and puts the record back. */
const drill = async (tamper: () => Promise<unknown>) => {
  await tamper();
  try {
    return await test.check();
  } finally {
    await test.as('record').deleteMany({});
    await test.as('record').insertMany(kept);
  }
};

const write = (document: Document) => test.as('record').replaceOne({ _id: document['_id'] }, document);

const changed = (binary: Binary, at: number): Binary => {
  const bytes = Buffer.from(binary.buffer);
  bytes[at]! ^= 1;
  return new Binary(bytes);
};

/** Where entry `position` of a bundle begins, without its length. */
const startOf = (bundle: Binary, position: number): number => {
  const bytes = Buffer.from(bundle.buffer);
  let at = 0;
  for (let i = 0; i < position; i += 1) at += 2 + bytes.readUInt16BE(at);
  return at + 2;
};

describe('a log that nobody touched', () => {
  it('shows no difference', async () => {
    expect(await test.check()).toEqual([]);
  });
});

describe('in the record', () => {
  it('a changed byte of an entry is named by its index', async () => {
    const { entries, ...rest } = segment(350) as { _id: number; entries: Binary };
    const found = await drill(() => write({ ...rest, entries: changed(entries, startOf(entries, 123) + 40) }));
    expect(found).toEqual([expect.objectContaining({ kind: 'entry-altered', store: 'record', index: 473 })]);
  });
});
