/**
 * The archive beside the record: every object of it read and verified, its newest checkpoint held against the anchored
 * ones, and the lists of boxes, which no tree covers, compared segment by segment.
 */
import type { Binary } from 'mongodb';
import type { Difference, DifferenceKind } from '../../domain/verification/difference.ts';
import { lookedAtNothing } from '../../domain/verification/looked.ts';
import { mongoAnchor } from '../anchor.ts';
import type { KeyTrust } from '../archive/head.ts';
import { newestCheckpoint } from '../archive/head.ts';
import type { RangeVisitor } from '../archive/replay.ts';
import type { ArchiveStore } from '../archive/store.ts';
import { verifyArchive, type ArchiveProblem, type ArchiveProblemKind } from '../archive/verify.ts';
import { segmentsOf, type SegmentDocument } from '../segments.ts';
import { openAnchored } from './signed-roots.ts';
import type { Walked } from './record-walk.ts';
import type { VerifiedLog } from './verified-log.ts';

type Found = Pick<Walked, 'looked' | 'differences'>;

export interface VerifiedArchive {
  readonly store: ArchiveStore;
  /** Keys that may have signed what is archived: also those of logs that this one continues. */
  readonly trust: KeyTrust;
}

/** All of it. An instance without an archived checkpoint yet has nothing to be looked at. */
export const checkArchive = async (
  log: VerifiedLog,
  { store, trust }: VerifiedArchive,
  signal?: AbortSignal,
): Promise<Found> => {
  const newest = await checkNewestArchived(log, { store, trust });
  if (newest.differences.length === 0 && newest.looked.objects === 0) return newest;
  const lists: Difference[] = [];
  const visitor: RangeVisitor = {
    async segment(archived) {
      signal?.throwIfAborted();
      const difference = await differenceInList(log, archived);
      if (difference) lists.push(difference);
    },
  };
  const report = await verifyArchive(store, { trust, visitor });
  return {
    looked: { ...lookedAtNothing, objects: report.objects },
    differences: [...newest.differences, ...report.problems.map(differenceOf), ...lists],
  };
};

/** The newest archived checkpoint, which the record must have reached by way of an anchored one of the same root. */
export const checkNewestArchived = async (log: VerifiedLog, { store, trust }: VerifiedArchive): Promise<Found> => {
  const newest = await newestCheckpoint(store, trust);
  if (!newest) return { looked: lookedAtNothing, differences: [] };
  const { size, root, origin } = newest.checkpoint;
  const looked = { ...lookedAtNothing, objects: 1 };
  // What was archived under another origin was anchored under that one.
  if (origin !== log.origin) return { looked, differences: [] };
  const [anchored] = await mongoAnchor(log.client).from(log.origin, size, 1);
  const opened = anchored && openAnchored(log, anchored);
  const same = opened && 'root' in opened && opened.size === size && root.equals(opened.root);
  if (same) return { looked, differences: [] };
  const difference: Difference = {
    kind: 'inconsistent-with-older',
    store: 'archive',
    index: size - 1,
    place: `archive/checkpoint/${size}`,
  };
  return { looked, differences: [difference] };
};

const kinds: Readonly<Record<ArchiveProblemKind, DifferenceKind>> = {
  altered: 'archive-altered',
  missing: 'archive-missing',
  added: 'archive-surplus',
  covered: 'archive-surplus',
  contradicted: 'inconsistent-with-older',
};

const differenceOf = ({ kind, object }: ArchiveProblem): Difference => ({
  kind: kinds[kind],
  store: 'archive',
  place: `archive/${object}`,
});

const differenceInList = async (log: VerifiedLog, archived: SegmentDocument): Promise<Difference | undefined> => {
  const { _id, n, boxes } = archived;
  const stored = await segmentsOf(log.client, log.instance).findOne({ _id }, { projection: { n: 1, boxes: 1 } });
  // One that is gone, or cut otherwise, is found on the walk along the record.
  if (!stored || stored.n !== n || listText(stored.boxes) === listText(boxes)) return undefined;
  return {
    kind: 'box-list-altered',
    store: 'record',
    index: _id,
    ...(n > 1 && { lastIndex: _id + n - 1 }),
    place: `segments/${_id}`,
  };
};

const listText = (boxes: SegmentDocument['boxes']): string =>
  JSON.stringify(Array.isArray(boxes) ? boxes.map(({ id, of, from, to }) => [hexOf(id), of, from, to]) : String(boxes));

const hexOf = (id: Binary): string => Buffer.from(id.buffer).toString('hex');
