/** Single entries and leaf hashes from the record, whatever state it is in. */
import { readBundle } from '../../domain/tree/bundle.ts';
import { hashBytes } from '../../domain/tree/hash.ts';
import { segmentsOf, type SegmentDocument } from '../segments.ts';
import type { VerifiedLog } from './verified-log.ts';

/** The segment whose range an index falls into, if there is one. */
export const segmentAt = async (
  { client, instance }: Pick<VerifiedLog, 'client' | 'instance'>,
  index: number,
): Promise<SegmentDocument | undefined> => {
  const segment = await segmentsOf(client, instance).findOne({ _id: { $lte: index, $gte: 0 } }, { sort: { _id: -1 } });
  return segment && segment._id + segment.n > index ? segment : undefined;
};

/** The bytes of an entry; undefined where the record does not hold it or can't be taken apart. */
export const entryAt = async (
  log: Pick<VerifiedLog, 'client' | 'instance'>,
  index: number,
): Promise<Buffer | undefined> => {
  const segment = await segmentAt(log, index);
  return segment && readBundle(segment.entries.buffer).entries[index - segment._id];
};

/** Leaf hashes `from` to `to` as segments hold them; undefined where not all of them are there. */
export const recordedLeaves = async (
  { client, instance }: Pick<VerifiedLog, 'client' | 'instance'>,
  from: number,
  to: number,
): Promise<Buffer | undefined> => {
  const segments = segmentsOf(client, instance);
  const start = await segments.findOne({ _id: { $lte: from, $gte: 0 } }, { sort: { _id: -1 }, projection: { _id: 1 } });
  if (!start) return undefined;
  const found: Uint8Array[] = [];
  let next = start._id;
  const cursor = segments
    .find({ _id: { $gte: start._id, $lt: to } }, { projection: { leaves: 1, n: 1 } })
    .sort({ _id: 1 });
  for await (const segment of cursor) {
    if (segment._id !== next) continue;
    next += segment.n;
    const skipped = Math.max(0, from - segment._id) * hashBytes;
    found.push(segment.leaves.buffer.subarray(skipped, (to - segment._id) * hashBytes));
  }
  const leaves = Buffer.concat(found);
  return leaves.length === (to - from) * hashBytes ? leaves : undefined;
};
