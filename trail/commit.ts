/**
 * The second half of an append: boxes and segment. They go into one ordered insert command, the segment last: MongoDB
 * executes it in order on one primary, so in the oplog, and in what a majority holds, no segment ever stands without
 * its boxes. Inserting the segment at the end of the log is the compare-and-set. A lost race is answered by taking over
 * the winner's segments; an unknown result by inserting the same bytes again and comparing what a majority holds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoBulkWriteError, MongoServerError, type Collection } from 'mongodb';
import type { BoxDocument } from './boxes.ts';
import type { Entry } from '../schema/event.ts';
import { majority } from './database.ts';
import { TrailError } from './errors.ts';
import { insertMissing } from './insert-missing.ts';
import { walkToEnd } from './log-end.ts';
import type { RecentEntries } from './recent.ts';
import type { LogHead, SegmentDocument } from './segments.ts';

/** `lost`: another writer's segment stands at this index; the boxes stand, and need not be written again. */
export type Insertion = 'won' | 'lost';

/** Both are views of the same collection. */
export interface RecordCollections {
  readonly segments: Collection<SegmentDocument>;
  readonly boxes: Collection<BoxDocument>;
}

const giveUpMs = 30_000;
const retryMs = 50;

/** Codes under which MongoDB certainly did not insert, and will not: the document or the user is at fault. */
const final: ReadonlySet<number> = new Set([13, 18, 121, 10_334]);

/** `documents`: boxes that the segment lists and that do not stand yet; together at most one message's worth. */
export const insertSegment = async (
  { segments, boxes }: RecordCollections,
  segment: SegmentDocument,
  documents: readonly BoxDocument[],
): Promise<Insertion> => {
  const deadline = performance.now() + giveUpMs;
  let unwritten = documents;
  for (;;) {
    let failure: unknown;
    try {
      if (unwritten.length === 0) await segments.insertOne(segment, majority);
      else await insertTogether(segments, segment, unwritten);
      return 'won';
    } catch (error) {
      failure = error;
    }
    if (failure instanceof MongoServerError && final.has(Number(failure.code))) throw failure;
    if (unwritten.length > 0) {
      // Any part of the command may have been executed. Trying it again would end at the first box that stands, so the
      // boxes are made to stand by themselves, and the segment after them.
      if (!boxesStand(failure, unwritten.length)) await insertMissing(boxes, unwritten);
      unwritten = [];
    }
    if (failure instanceof MongoServerError && failure.code === 11_000) {
      const standing = await standingAs(segments, segment);
      if (standing !== undefined) return standing;
      // Somebody's insert is not with a majority yet: it stays or it goes.
    }
    if (performance.now() > deadline)
      throw new TrailError('TRAIL_UNAVAILABLE', 'it is not known whether the segment was written', { cause: failure });
    await delay(retryMs);
  }
};

const insertTogether = async (
  segments: Collection<SegmentDocument>,
  segment: SegmentDocument,
  documents: readonly BoxDocument[],
): Promise<void> => {
  await segments.insertMany([...documents, segment] as never, { ordered: true, ...majority });
};

/** Whether the command failed at the segment alone, and all before it is with a majority. */
const boxesStand = (failure: unknown, count: number): boolean => {
  if (!(failure instanceof MongoBulkWriteError) || failure.result.getWriteConcernError()) return false;
  const [error, ...more] = [failure.writeErrors].flat();
  return error?.index === count && error.code === 11_000 && more.length === 0;
};

/** Whose segment a majority holds at this index; undefined for none. */
const standingAs = async (
  segments: Collection<SegmentDocument>,
  segment: SegmentDocument,
): Promise<Insertion | undefined> => {
  // Nearly always another's, which is read whole when it is taken over: its root tells that much.
  const root = await segments.findOne({ _id: segment._id }, { projection: { n: 1, root: 1 } });
  if (!root) return undefined;
  if (root.n !== segment.n || !Buffer.from(root.root.buffer).equals(segment.root.buffer)) return 'lost';
  const whole = await segments.findOne({ _id: segment._id });
  return whole ? (sameBytes(whole, segment) ? 'won' : 'lost') : undefined;
};

const sameBytes = (a: SegmentDocument, b: SegmentDocument): boolean =>
  a.n === b.n &&
  Buffer.from(a.root.buffer).equals(b.root.buffer) &&
  Buffer.from(a.entries.buffer).equals(b.entries.buffer);

/** The end of the log after other writers' segments, each verified and put into the window. */
export const catchUp = (
  segments: Collection<SegmentDocument>,
  head: LogHead,
  recent: RecentEntries,
  visit: (first: number, entries: readonly Entry[]) => void = () => undefined,
): Promise<LogHead> =>
  walkToEnd(segments, head, (segment, entries) => {
    recent.add(segment._id, entries);
    visit(segment._id, entries);
  });
