/**
 * The second half of an append: the segment. Inserting it at the end of the log is the compare-and-set. A lost race is
 * answered by taking over the winner's segments; an unknown result by inserting the same bytes again and comparing
 * what a majority holds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoServerError, type Collection } from 'mongodb';
import { majority } from './database.ts';
import { TrailError } from './errors.ts';
import { walkToEnd } from './log-end.ts';
import type { RecentEntries } from './recent.ts';
import type { LogHead, SegmentDocument } from './segments.ts';

export type Insertion = 'won' | 'lost';

const giveUpMs = 30_000;
const retryMs = 50;

/** Codes under which MongoDB certainly did not insert, and will not: the document or the user is at fault. */
const final: ReadonlySet<number> = new Set([13, 18, 121, 10_334]);

export const insertSegment = async (
  segments: Collection<SegmentDocument>,
  segment: SegmentDocument,
): Promise<Insertion> => {
  const deadline = performance.now() + giveUpMs;
  for (;;) {
    let failure: unknown;
    try {
      await segments.insertOne(segment, majority);
      return 'won';
    } catch (error) {
      failure = error;
    }
    if (failure instanceof MongoServerError && final.has(Number(failure.code))) throw failure;
    if (failure instanceof MongoServerError && failure.code === 11_000) {
      const standing = await segments.findOne({ _id: segment._id });
      if (standing) return sameBytes(standing, segment) ? 'won' : 'lost';
      // Somebody's insert is not with a majority yet: it stays or it goes.
    }
    if (performance.now() > deadline)
      throw new TrailError('TRAIL_UNAVAILABLE', 'it is not known whether the segment was written', { cause: failure });
    await delay(retryMs);
  }
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
): Promise<LogHead> => walkToEnd(segments, head, (segment, entries) => recent.add(segment._id, entries));
