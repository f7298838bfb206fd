/** The checkpoints that were ever anchored, each with its signature checked. */
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import type { SignedRoot } from '../../domain/verification/segment.ts';
import { mongoAnchor, type AnchoredCheckpoint } from '../anchor.ts';
import { controlDatabase, majority } from '../database.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface AnchoredRoot extends SignedRoot {
  /** Index of the first entry of the segment that it is said to end with. */
  readonly segment: number;
}

export interface AnchoredRoots {
  readonly roots: readonly AnchoredRoot[];
  /** Checkpoints that are none of this log's; they stand in no list of roots. */
  readonly differences: readonly Difference[];
}

const perCall = 500;

/** Those of sizes from `above` + 1 up to `to`. */
export const anchoredRoots = async (log: VerifiedLog, above: number, to: number): Promise<AnchoredRoots> => {
  const anchor = mongoAnchor(log.client);
  const roots: AnchoredRoot[] = [];
  const differences: Difference[] = [];
  for (let from = above + 1; ;) {
    const page = await anchor.from(log.origin, from, perCall);
    for (const anchored of page) {
      if (anchored.size > to) return { roots, differences };
      const opened = openAnchored(log, anchored);
      if ('kind' in opened) differences.push(opened);
      else roots.push(opened);
    }
    const last = page.at(-1);
    if (!last || page.length < perCall) return { roots, differences };
    from = last.size + 1;
  }
};

/** Throws nothing: a checkpoint that can't be relied on is a difference. */
export const openAnchored = (
  { keys, origin }: VerifiedLog,
  anchored: AnchoredCheckpoint,
): AnchoredRoot | Difference => {
  const differs = (kind: Difference['kind']): Difference => ({
    kind,
    store: 'anchors',
    ...(Number.isSafeInteger(anchored.size) && anchored.size > 0 && { index: anchored.size - 1 }),
    place: `anchors/${anchored.size}`,
  });
  try {
    const { size, root } = openCheckpoint(Buffer.from(anchored.note), keys, origin);
    return size === anchored.size ? { size, root, segment: anchored.segment } : differs('malformed-checkpoint');
  } catch (error) {
    if (!(error instanceof TreeError)) throw error;
    if (error.code === 'CHECKPOINT_ORIGIN') return differs('wrong-origin');
    return differs(
      error.code === 'NOTE_SIGNATURE' || error.code === 'NOTE_UNSIGNED' ? 'bad-signature' : 'malformed-checkpoint',
    );
  }
};

/** Size of the largest checkpoint that was anchored and holds, 0 for none. */
export const anchoredSize = async (log: VerifiedLog): Promise<number> =>
  (await mongoAnchor(log.client).latest(log.origin))?.size ?? 0;

/** The checkpoint of the largest size up to `size` that was anchored. */
export const anchoredBefore = async (
  { client, origin }: VerifiedLog,
  size: number,
): Promise<AnchoredCheckpoint | undefined> => {
  // Ids end in the size, 16 digits (trail/anchor.ts).
  const anchors = client.db(controlDatabase).collection<AnchoredCheckpoint & { _id: string }>('anchors', majority);
  const upTo = { $gte: `${origin}#`, $lte: `${origin}#${String(size).padStart(16, '0')}` };
  return (await anchors.findOne({ _id: upTo }, { sort: { _id: -1 } })) ?? undefined;
};
