/**
 * Where the log ends. Found by walking from the anchor, never as the largest `_id`: a stray segment far ahead is not
 * part of the log. Everything beyond the anchor is verified again, and the whole must be the one that was signed.
 */
import type { Collection } from 'mongodb';
import type { OpenedCheckpoint } from '../domain/tree/checkpoint.ts';
import { emptyEdge } from '../domain/tree/edge.ts';
import { emptyRoot } from '../domain/tree/hash.ts';
import type { Entry } from '../schema/event.ts';
import type { Anchor, PlacedCheckpoint } from './anchor.ts';
import { TrailError } from './errors.ts';
import { headAfter, inconsistent, verifySegment, type LogHead, type SegmentDocument } from './segments.ts';

/** A log whose checkpoints can be opened: signed by a key that may sign one of their size, else a TreeError. */
export interface OwnLog {
  readonly origin: string;
  open(note: Uint8Array): Promise<OpenedCheckpoint>;
}

export const emptyHead: LogHead = { edge: emptyEdge, size: 0, root: emptyRoot, controlEpoch: -1, lastSegment: -1 };

/** The head that was anchored last, taken from the record, which must hold it. */
export const anchoredHead = async (
  segments: Collection<SegmentDocument>,
  anchor: Anchor,
  log: OwnLog,
): Promise<LogHead> => {
  const anchored = await anchor.latest(log.origin);
  for (const placed of (await anchor.elsewhere?.(log.origin)) ?? []) await requireHeld(segments, placed, log);
  if (!anchored) return emptyHead;
  const checkpoint = await log.open(Buffer.from(anchored.note));
  const segment = await segments.findOne({ _id: anchored.segment });
  if (!segment || segment._id + segment.n !== checkpoint.size)
    throw new TrailError(
      'LOG_BEHIND_ANCHOR',
      `a checkpoint of size ${checkpoint.size} was given out, but the log does not hold it: it was rolled back or altered`,
    );
  const head = headAfter(segment);
  if (!head.root.equals(checkpoint.root))
    throw inconsistent(segment._id, `it does not end in the root that was signed at size ${checkpoint.size}`);
  return head;
};

/**
 * That the record holds what was kept elsewhere. Checkpoints end where segments end, and segments never change: where none
 * ends there, or with another root, the log was restored to an older state or replaced, however well it hangs together.
 */
const requireHeld = async (
  segments: Collection<SegmentDocument>,
  { note, place }: PlacedCheckpoint,
  log: OwnLog,
): Promise<void> => {
  const { size, root } = await log.open(Buffer.from(note));
  if (size === 0) return;
  const segment = await segments.findOne({ _id: { $lt: size } }, { sort: { _id: -1 } });
  if (!segment || segment._id + segment.n < size)
    throw new TrailError(
      'LOG_BEHIND_ANCHOR',
      `a checkpoint of size ${size} was kept by ${place}, but the log does not hold it: it was rolled back`,
    );
  if (segment._id + segment.n > size || !headAfter(segment).root.equals(root))
    throw new TrailError(
      'LOG_FORKED',
      `the log is another one than that of size ${size} which was kept by ${place}: it was rolled back and regrown, or replaced`,
    );
};

/** Walks from `head` to the end of what a majority holds; `visit` sees each verified segment on the way. */
export const walkToEnd = async (
  segments: Collection<SegmentDocument>,
  head: LogHead,
  visit?: (segment: SegmentDocument, entries: readonly Entry[]) => void,
): Promise<LogHead> => {
  let end = head;
  for (;;) {
    const segment = await segments.findOne({ _id: end.size });
    if (!segment) return end;
    const { next, entries } = verifySegment(end, segment);
    visit?.(segment, entries);
    end = next;
  }
};
