/** Sequence numbers that never arrived, by emitter: each names an entry that is missing. */
import type { SequenceRange } from '../../domain/emitters.ts';
import type { EmitterRow } from '../../trail/projection.ts';
import type { TrailReader } from '../../trail/reader.ts';
import { ApiError, notFound } from '../errors.ts';
import { extentOf } from './query.ts';

export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface EmitterGap {
  readonly emitter: string;
  readonly high: number;
  readonly missing: Range[];
  readonly truncated: Range | null;
}

export interface GapsRequest {
  readonly emitter?: string | null | undefined;
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
}

export const rangeOf = ([from, to]: SequenceRange): Range => ({ from, to });

const gapOf = ({ _id, high, missing, truncated }: EmitterRow): EmitterGap => ({
  emitter: _id,
  high,
  missing: missing.map(rangeOf),
  truncated: truncated === null ? null : rangeOf(truncated),
});

/** One emitter, whether it has gaps or not, or a page of those that have, by id. */
export const emitterGaps = async (
  reader: TrailReader,
  { emitter, first, after }: GapsRequest,
  { pageSizeMax }: { readonly pageSizeMax: number },
): Promise<{ emitters: EmitterGap[]; next: string | null; behind: number }> => {
  const { behind } = await extentOf(reader);
  if (emitter !== null && emitter !== undefined) {
    const rows = await reader.emitters([emitter]);
    if (rows.length === 0) throw notFound('emitter');
    return { emitters: rows.map(gapOf), next: null, behind };
  }
  const size = first ?? 100;
  if (size < 1 || size > pageSizeMax) throw new ApiError('BAD_INPUT', `a page holds 1 to ${pageSizeMax} emitters`);
  const rows = await reader.emittersWithGaps(size + 1, after ?? undefined);
  const page = rows.slice(0, size);
  return {
    emitters: page.map(gapOf),
    next: rows.length > size ? (page.at(-1)?._id ?? null) : null,
    behind,
  };
};
