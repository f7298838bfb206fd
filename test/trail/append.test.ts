import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { inclusionProof, verifyInclusion } from '../../domain/tree/proof.ts';
import { eventLimits } from '../../schema/event.ts';
import type { AppendResult, Receipt } from '../../trail/append-item.ts';
import { seeAll } from '../../trail/reader.ts';
import { emitterOf, event } from './events.ts';
import { openTestTrail, type TestTrail } from './open.ts';

const receiptOf = (result: AppendResult | undefined): Receipt => {
  if (!result || result.status === 'refused') throw new Error(`no receipt: ${JSON.stringify(result)}`);
  return result.receipt;
};

describe('append', () => {
  let test: TestTrail;
  beforeAll(async () => {
    test = await openTestTrail();
    test.tails();
  });
  afterAll(() => test.close());

  it('gives each event an index, a leaf hash and a checkpoint that proves it', async () => {
    const next = emitterOf('proving');
    const results = await test.trail.writer.append([next(), next(), next()], 'platform');
    const receipts = results.map(receiptOf);
    const key = parseVkey(test.trail.vkey);
    for (const receipt of receipts) {
      const { size, root } = openCheckpoint(Buffer.from(receipt.checkpoint), [key], test.origin);
      const proof = await inclusionProof(receipt.index, size, test.trail.reader.tiles.subtrees());
      const leafHash = Buffer.from(receipt.leafHash, 'hex');
      expect(verifyInclusion({ leafHash, index: receipt.index, size, root, proof })).toBe(true);
    }
    expect(receipts.map(({ index }) => index - receipts[0]!.index)).toEqual([0, 1, 2]);
  });

  it('answers the same event again with the first receipt, before and after it is indexed', async () => {
    const once = emitterOf('again')();
    const [first] = await test.trail.writer.append([once], 'platform');
    const [second] = await test.trail.writer.append([once], 'platform');
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    const [third] = await test.trail.writer.append([once], 'platform');
    for (const result of [second, third]) {
      expect(result?.status).toBe('duplicate');
      expect(receiptOf(result).index).toBe(receiptOf(first).index);
    }
  });

  it('refuses an id that stands in the log with other content, in the skeleton or only in a part', async () => {
    const next = emitterOf('conflict');
    const original = next();
    await test.trail.writer.append([original], 'platform');
    const otherSkeleton = { ...original, outcome: 'failure' as const };
    const otherPart = { ...original, parts: [{ name: 'after', content: { Phone: 'another' } }] };
    const results = await test.trail.writer.append([otherSkeleton, otherPart], 'platform');
    expect(results).toMatchObject([
      { status: 'refused', refusal: { code: 'ID_CONFLICT' } },
      { status: 'refused', refusal: { code: 'ID_CONFLICT' } },
    ]);
  });

  it('tells duplicates from conflicts within one call', async () => {
    const once = emitterOf('within')();
    const results = await test.trail.writer.append([once, once, { ...once, outcome: 'failure' }], 'platform');
    expect(results.map((result) => result.status)).toEqual(['accepted', 'duplicate', 'refused']);
  });

  it('refuses a sequence number that another event has, and accepts one that fills a gap as late', async () => {
    const emitter = (sequence: number) => event({ emitter: { id: 'gappy', sequence } });
    await test.trail.writer.append([emitter(1), emitter(4)], 'platform');
    const late = emitter(2);
    const results = await test.trail.writer.append([late, emitter(4)], 'platform');
    expect(results).toMatchObject([
      { status: 'accepted' },
      { status: 'refused', refusal: { code: 'SEQUENCE_CONFLICT' } },
    ]);
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    expect((await test.trail.reader.byId(late.id))?.entry.flags).toEqual(['late']);
    expect(await test.trail.reader.emitters(['gappy'])).toMatchObject([{ high: 4, missing: [[3, 3]] }]);
  });

  it('refuses ids from before the horizon, and never refuses for event time', async () => {
    const old = event({ id: '0190a3a4-1111-7abc-8def-0123456789ab' });
    const past = event({ eventTime: '1999-12-31T23:59:59+02:00' });
    const future = event({ eventTime: '2999-01-01T00:00:00Z' });
    const results = await test.trail.writer.append([old, past, future], 'platform');
    expect(results).toMatchObject([
      { status: 'refused', refusal: { code: 'ID_TOO_OLD' } },
      { status: 'accepted' },
      { status: 'accepted' },
    ]);
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    expect((await test.trail.reader.byId(past.id))?.entry).toMatchObject({
      eventTime: '1999-12-31T21:59:59.000Z',
      eventTimeOriginal: '1999-12-31T23:59:59+02:00',
      flags: ['skew-past'],
    });
    expect((await test.trail.reader.byId(future.id))?.entry.flags).toEqual(['skew-future']);
  });

  it('keeps content and original ids out of the entry, and gives them back to whoever may see them', async () => {
    const recorded = event({
      resource: { kind: 'Contact', id: '003-canary-id', subject: 0 },
      subjects: [{ system: 'salesforce', kind: 'Contact', id: '003-canary-id' }],
      parts: [{ name: 'before', content: { Email: 'canary@example.org' }, subject: 0 }],
    });
    await test.trail.writer.append([recorded], 'platform');
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    const found = (await test.trail.reader.byId(recorded.id))!;
    expect(JSON.stringify(found.entry)).not.toContain('canary');
    const [open] = await test.trail.reader.withParts([found], seeAll);
    expect(open?.parts).toEqual({
      before: { state: 'present', content: { Email: 'canary@example.org' } },
      originals: { state: 'present', content: { resource: '003-canary-id' } },
    });
    const [withheld] = await test.trail.reader.withParts([found], () => false);
    expect(withheld?.parts?.['before']).toEqual({ state: 'withheld' });
    const correlations = await test.trail.reader.correlationsOf('salesforce', 'Contact', '003-canary-id', {
      system: 'salesforce',
      kind: 'Contact',
      id: '003-canary-id',
    });
    expect(correlations).toEqual([recorded.correlationId]);
  });

  it('cuts a long part into chunks and puts it together again', async () => {
    const long = 'x'.repeat(2_500_000);
    const recorded = event({ parts: [{ name: 'response', content: long }] });
    await test.trail.writer.append([recorded], 'platform');
    expect(await test.trail.reader.fresh(30_000)).toBe(0);
    const found = (await test.trail.reader.byId(recorded.id))!;
    expect(found.entry.parts).toHaveLength(3);
    const [open] = await test.trail.reader.withParts([found], seeAll);
    expect(open?.parts?.['response']).toEqual({ state: 'present', content: long });
  });

  it('refuses what passes a limit and takes the rest of the call', async () => {
    const tooLarge = event({ parts: [{ name: 'response', content: 'x'.repeat(9_000_000) }] });
    const fields = Array.from({ length: 256 }, (_, position) => `${'ü'.repeat(120)}${position}`);
    const tooWide = event({ fields, versions: { model: 'm' } });
    const results = await test.trail.writer.append([tooLarge, tooWide, event()], 'platform');
    expect(results).toMatchObject([
      { status: 'refused', refusal: { code: 'EVENT_TOO_LARGE' } },
      { status: expect.stringMatching(/accepted|refused/) },
      { status: 'accepted' },
    ]);
  });

  it('lets no large event that is late spoil the batch that it is in', async () => {
    // A ü takes two bytes; `padding` is counted in bytes and split, since a field has at most 128 characters.
    const wide = (sequence: number, padding: number) =>
      event({
        emitter: { id: 'large', sequence },
        parts: [],
        fields: [
          ...Array.from({ length: 248 }, () => 'ü'.repeat(128)),
          ...Array.from({ length: 8 }, (_, at) => 'y'.repeat(Math.floor((padding + at) / 8))),
        ],
      });
    const [first] = await test.trail.writer.append([wide(1, 8)], 'platform');
    const bytes = (await test.trail.reader.at(receiptOf(first).index))!.bytes.length;
    await test.trail.writer.append([event({ emitter: { id: 'large', sequence: 9 } })], 'platform');
    const full = eventLimits.entryBytesMax - bytes + 8;
    const [late, larger, other] = await test.trail.writer.append(
      [wide(2, full - 17), wide(3, full), event()],
      'platform',
    );
    expect(late).toMatchObject({ status: 'accepted' });
    expect(larger).toMatchObject({ status: 'refused', refusal: { code: 'ENTRY_TOO_LARGE' } });
    expect(other).toMatchObject({ status: 'accepted' });
  });

  it('refuses times that an entry can not hold', async () => {
    const long = event({ eventTime: `2026-01-01T00:00:00.${'1'.repeat(100)}Z` });
    const before = event({ eventTime: '0000-01-01T00:00:00+01:00' });
    const after = event({ eventTime: '9999-12-31T23:59:59-01:00' });
    const results = await test.trail.writer.append([long, before, after, event()], 'platform');
    const invalid = { status: 'refused', refusal: { code: 'INVALID_EVENT' } };
    expect(results).toMatchObject([invalid, invalid, invalid, { status: 'accepted' }]);
  });

  it('keeps one order when several processes append at once', async () => {
    const others = await Promise.all([test.another(), test.another(), test.another()]);
    const calls = others.flatMap(({ writer }, process) =>
      Array.from({ length: 20 }, (_, call) => {
        const next = emitterOf(`process-${process}-${call}`);
        return writer.append([next(), next(), next()], 'platform');
      }),
    );
    const results = (await Promise.all(calls)).flat().map(receiptOf);
    expect(new Set(results.map(({ index }) => index)).size).toBe(180);
    const size = await test.trail.reader.size();
    expect(Math.max(...results.map(({ index }) => index))).toBe(size - 1);
  });

  it('gives an event that two processes send at the same time one place', async () => {
    const [a, b] = await Promise.all([test.another(), test.another()]);
    const next = emitterOf('racing');
    for (let round = 0; round < 10; round += 1) {
      const once = next();
      const results = await Promise.all([a.writer.append([once], 'platform'), b.writer.append([once], 'platform')]);
      const receipts = results.flat().map(receiptOf);
      expect(receipts[0]?.index).toBe(receipts[1]?.index);
      expect(
        results
          .flat()
          .map(({ status }) => status)
          .toSorted(),
      ).toEqual(['accepted', 'duplicate']);
    }
  });

  it('refuses a decision that was made before control state changed', async () => {
    const [control] = await test.trail.writer.append(
      [event({ action: 'instance.suspend', control: { change: 'instance.suspend' } })],
      'platform',
    );
    const epoch = receiptOf(control).index;
    const before = await test.trail.writer.append([event()], 'platform', { ifControlEpoch: epoch - 1 });
    expect(before).toMatchObject([{ status: 'refused', refusal: { code: 'STALE_CONTROL_EPOCH' } }]);
    const after = await test.trail.writer.append([event()], 'platform', { ifControlEpoch: epoch });
    expect(after).toMatchObject([{ status: 'accepted' }]);
  });

  it('takes no call past the bound of its queue', async () => {
    const small = await test.another({ queueEventsMax: 2 });
    await expect(small.writer.append([event(), event(), event()], 'platform')).rejects.toMatchObject({
      code: 'QUEUE_FULL',
      retryable: true,
    });
  });
});
