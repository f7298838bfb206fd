/** Which alerts a check raises: one for each kind of difference and place where it is kept, with the first of its kind. */
import type { Difference } from './difference.ts';
import type { Tally } from './tally.ts';

export interface Alert {
  readonly difference: Difference;
  /** Differences of this kind, in all places. */
  readonly count: number;
}

export const alertsOf = ({ counts, first }: Tally): Alert[] => {
  const groups = Map.groupBy(first, ({ kind, store }) => `${store}/${kind}`);
  return [...groups.values()].map(([difference]) => ({
    difference: difference!,
    count: counts[difference!.kind] ?? 1,
  }));
};

/** `<place>[:<first bad index>]`, in the form of an entry's `endpoint`. */
export const whereOf = ({ place, index }: Difference): string => {
  const where = index === undefined ? place : `${place}:${index}`;
  return where.replaceAll(/[^A-Za-z0-9/{}._:*-]/g, '-').slice(0, 256);
};
