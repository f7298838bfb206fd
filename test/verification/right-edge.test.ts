/** What a writer verifies of the log before it extends it: everything that it will rely on at the right edge. */
import { Binary, type Document } from 'mongodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventInput } from '../../schema/event.ts';
import { allSegments } from '../../trail/segments.ts';
import { flipped, saidOtherwise, entriesOf, withEntries } from '../tamper/mongodbRoot.ts';
import { event } from '../trail/events.ts';
import { openTestLog, type TestLog } from './open.ts';

let test: TestLog;
let events: EventInput[];
beforeEach(async () => {
  test = await openTestLog();
  events = [];
  // A control entry at 4; the last segment begins at 40.
  for (const size of [10, 30, 20]) {
    const batch = Array.from({ length: size }, (_, i) =>
      events.length + i === 4
        ? event({ action: 'instance.suspend', control: { change: 'instance.suspend' }, system: 'trailkeeper' })
        : event(events.length + i === 7 ? { parts: [] } : {}),
    );
    await test.trail.writer.append(batch, 'platform');
    events.push(...batch);
  }
  await test.trail.reader.fresh(60_000);
  await test.tail.stop();
});
afterEach(() => test.close());

const at = (id: number) => ({ _id: id as never });
const segment = async (first: number): Promise<Document> => (await test.as('record').findOne(at(first)))!;
const write = (document: Document) => test.as('record').replaceOne({ _id: document['_id'] as never }, document);
const appendAnew = async (input: EventInput = event()) => {
  const { writer } = await test.another();
  return writer.append([input], 'platform');
};

const lastSegment: readonly (readonly [string, (last: Document) => Document])[] = [
  [
    'an entry of the last segment',
    (last) => {
      const entries = entriesOf(last);
      return withEntries(last, entries.with(19, saidOtherwise(entries[19]!)));
    },
  ],
  ['a leaf hash of the last segment', (last) => ({ ...last, leaves: flipped(last['leaves'] as Binary, 19 * 32) })],
  ['the right edge of the last segment', (last) => ({ ...last, edge: flipped(last['edge'] as Binary, 0) })],
  ['the control epoch, set back', (last) => ({ ...last, control: -1 })],
  ['the control epoch, set forward', (last) => ({ ...last, control: 45 })],
];

describe('a writer that starts', () => {
  it('extends a log that nobody touched', async () => {
    expect(await test.as('record').countDocuments(allSegments as never)).toBe(3);
    expect(await appendAnew()).toMatchObject([{ status: 'accepted', receipt: { index: 60 } }]);
  });

  it.each(lastSegment)('refuses to extend a log of which somebody changed %s', async (_what, change) => {
    await write(change(await segment(40)));
    await expect(appendAnew()).rejects.toMatchObject({ code: 'LOG_INCONSISTENT' });
  });

  it('refuses a control epoch that was set back in all of the last segments', async () => {
    for (const first of [10, 40]) await write({ ...(await segment(first)), control: -1 });
    await expect(appendAnew()).rejects.toMatchObject({ code: 'LOG_INCONSISTENT' });
  });

  it('refuses to extend a log whose last but one segment is gone', async () => {
    await test.as('record').deleteOne(at(10));
    await expect(appendAnew()).rejects.toMatchObject({ code: 'LOG_INCONSISTENT' });
  });
});

describe('a forged row of the index', () => {
  it('is not taken for the record: an event that it claims is neither acknowledged nor lost', async () => {
    // Without payload nothing but the record itself contradicts the row.
    const wanted = event({ parts: [] });
    const forged = (await test.as('events').findOne(at(7)))!;
    const entry = Buffer.from((forged['entry'] as Binary).buffer)
      .toString('utf8')
      .replace(events[7]!.id, wanted.id);
    await test.as('events').replaceOne(at(7), { ...forged, id: wanted.id, entry: new Binary(Buffer.from(entry)) });
    const other = event();
    const { writer } = await test.another();
    const [claimed, free] = await Promise.allSettled([
      writer.append([wanted], 'platform'),
      writer.append([other], 'platform'),
    ]);
    expect(claimed).toMatchObject({ status: 'rejected', reason: { code: 'LOG_INCONSISTENT' } });
    expect(free).toMatchObject({ status: 'fulfilled', value: [{ status: 'accepted' }] });
    expect((await test.check())[0]).toMatchObject({ kind: 'row-altered', index: 7 });
  });

  it('at the right edge, or one that is missing there, leads to no second entry of the same event', async () => {
    await test.as('events').deleteOne(at(45));
    await test.as('events').updateOne(at(50), { $set: { id: event().id } });
    for (const index of [45, 50])
      expect(await appendAnew(events[index])).toMatchObject([{ status: 'duplicate', receipt: { index } }]);
    expect(await appendAnew()).toMatchObject([{ status: 'accepted', receipt: { index: 60 } }]);
  });
});
