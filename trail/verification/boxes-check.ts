/** The boxes of a segment: whether they are there, are what their digests say, and hold what the entries commit to. */
import type { Difference } from '../../domain/verification/difference.ts';
import type { JudgedEntry } from '../../domain/verification/segment.ts';
import { boxesOf, boxFaults, type BoxDocument } from '../boxes.ts';
import { TrailError } from '../errors.ts';
import type { ListedBoxes, SegmentDocument } from '../segments.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface BoxesChecked {
  readonly boxes: number;
  readonly opened: number;
  readonly differences: readonly Difference[];
}

/** Plaintext that is opened at once. */
const openedBytesMax = 16 * 1024 * 1024;

const placeOf = (id: Uint8Array): string => `boxes/${Buffer.from(id).toString('hex')}`;

/** `entries`: those of the segment that are what was logged. */
export const checkBoxes = async (
  log: VerifiedLog,
  segment: Pick<SegmentDocument, '_id' | 'boxes'>,
  entries: readonly JudgedEntry[],
): Promise<BoxesChecked> => {
  const differences: Difference[] = [];
  const lost = new Set<number>();
  for (const listed of segment.boxes) {
    const found = await faultOf(log, segment._id, listed);
    if (!found) continue;
    differences.push(found);
    for (let position = listed.from; position <= listed.to; position += 1) lost.add(segment._id + position);
  }
  if (!log.parts) return { boxes: segment.boxes.length, opened: 0, differences };
  let opened = 0;
  for (const group of inGroups(entries)) {
    const { altered } = await log.parts.openEach(
      group.map(({ index, entry }) => ({ index, entry, segment: segment._id })),
    );
    opened += group.length;
    for (const { index, entry } of group)
      // Where the box itself is gone or altered, that was said.
      if (altered.has(entry.id) && !lost.has(index))
        differences.push({ kind: 'content-altered', store: 'boxes', index, place: `segments/${segment._id}` });
  }
  return { boxes: segment.boxes.length, opened, differences };
};

const faultOf = async (log: VerifiedLog, first: number, listed: ListedBoxes): Promise<Difference | undefined> => {
  const document: BoxDocument | null = await boxesOf(log.client, log.instance).findOne({ _id: listed.id });
  const differs = (kind: Difference['kind']): Difference => ({
    kind,
    store: 'boxes',
    index: first + listed.from,
    ...(listed.to > listed.from && { lastIndex: first + listed.to }),
    place: placeOf(listed.id.buffer),
  });
  if (!document) return differs('box-missing');
  try {
    // A box that was taken out of its document is erased content, not a difference.
    const faults = boxFaults(document).filter(({ removed }) => !removed);
    return faults.length > 0 || document.of !== listed.of ? differs('box-altered') : undefined;
  } catch (error) {
    if (error instanceof TrailError && (error.code === 'LOG_INCONSISTENT' || error.code === 'FORMAT_UNKNOWN'))
      return differs('box-altered');
    throw error;
  }
};

/** Entries with parts, in groups of bounded plaintext; a single entry always makes one. */
function* inGroups(entries: readonly JudgedEntry[]): Generator<JudgedEntry[]> {
  let group: JudgedEntry[] = [];
  let bytes = 0;
  for (const judged of entries) {
    const size = judged.entry.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (judged.entry.parts.length === 0) continue;
    if (group.length > 0 && bytes + size > openedBytesMax) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(judged);
    bytes += size;
  }
  if (group.length > 0) yield group;
}
