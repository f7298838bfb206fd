/** What witnesses know, beside the log: a rollback and a fork show here even where record and anchors agree. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { controlDatabase } from '../../trail/database.ts';
import type { CosignatureDocument } from '../../trail/witness/cosignatures.ts';
import { walkWitnesses } from '../../trail/verification/witness-check.ts';
import { testSigner } from '../tree/testSigner.ts';
import { openTestLog, type TestLog } from './open.ts';

let test: TestLog;
beforeAll(async () => {
  test = await openTestLog();
  await test.appendBatches([10, 10, 10]);
  await test.tail.stop();
});
afterAll(() => test.close());
afterEach(async () => {
  await cosignatures().deleteMany({ origin: test.origin });
});

const cosignatures = () => test.database.admin.db(controlDatabase).collection<CosignatureDocument>('cosignatures');
const sizeText = (size: number) => String(size).padStart(16, '0');

const anchoredNote = async (size: number): Promise<string> =>
  String((await test.anchors.findOne({ _id: `${test.origin}#${sizeText(size)}` as never }))!['note']);

/** Keeps a cosignature on this checkpoint, as the witness loop does once it has verified it. */
const cosigned = async (size: number, note: string): Promise<void> => {
  const witness = 'witness.example+00000000+key';
  const _id = `${test.origin}#${sizeText(size)}#${witness}#1`;
  await cosignatures().insertOne({ _id, origin: test.origin, size, witness, timeS: 1, line: '', note });
};

const check = async (size: number) =>
  (await walkWitnesses(test.log, { after: undefined, size, cosignaturesMax: 2 })).differences;
const like = (found: readonly Partial<Difference>[]) => found.map((one) => expect.objectContaining(one) as Difference);

describe('cosigned checkpoints', () => {
  it('agree with a log that nobody touched, page by page', async () => {
    for (const size of [10, 20, 30]) await cosigned(size, await anchoredNote(size));
    const first = await walkWitnesses(test.log, { after: undefined, size: 30, cosignaturesMax: 2 });
    expect(first).toMatchObject({ differences: [], looked: { checkpoints: 2 } });
    const second = await walkWitnesses(test.log, { after: first.next, size: 30, cosignaturesMax: 2 });
    expect(second).toMatchObject({ differences: [], next: undefined, looked: { checkpoints: 1 } });
  });

  it('show that record and anchors were rolled back together', async () => {
    await cosigned(30, await anchoredNote(30));
    const anchor = { _id: `${test.origin}#${sizeText(30)}` as never };
    const kept = (await test.anchors.findOne(anchor))!;
    await test.anchors.deleteOne(anchor);
    const found = await check(20);
    await test.anchors.insertOne(kept);
    expect(found).toEqual(like([{ kind: 'witness-ahead', store: 'witness', index: 20, place: 'witness/30' }]));
  });

  it('show another history that was signed with the same key', async () => {
    const [key] = await test.trail.signing.keys();
    const signer = await test.trail.signing.signer(key!.version);
    const forked = signCheckpoint({ origin: test.origin, size: 20, root: Buffer.alloc(32, 9) }, [signer]);
    await cosigned(20, forked.toString());
    expect(await check(30)).toEqual(like([{ kind: 'witness-inconsistent', store: 'witness', index: 19 }]));
  });

  it('are not taken for ours where another key signed them', async () => {
    const forged = { origin: test.origin, size: 20, root: Buffer.alloc(32, 9) };
    await cosigned(20, signCheckpoint(forged, [testSigner(test.origin, Buffer.alloc(32, 7))]).toString());
    expect(await check(30)).toEqual(like([{ kind: 'bad-signature', store: 'witness', index: 19 }]));
  });
});
