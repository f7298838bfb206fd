/** Counts what was found, and keeps the first few of each kind: whatever is wrong, a report stays small. */
import type { Difference, DifferenceKind, Store } from './difference.ts';

/** Kept of each kind and store. */
const keptPerKind = 5;

export interface Tally {
  /** How many of each kind. */
  readonly counts: Readonly<Partial<Record<DifferenceKind, number>>>;
  /** Of each kind and store those with the lowest indexes, in order of index. */
  readonly first: readonly Difference[];
}

export const emptyTally: Tally = { counts: {}, first: [] };

const byIndex = (a: Difference, b: Difference): number => (a.index ?? Infinity) - (b.index ?? Infinity) || 0;

const same = (a: Difference, b: Difference): boolean =>
  a.kind === b.kind && a.place === b.place && a.index === b.index && a.lastIndex === b.lastIndex;

/** Adds differences; one that is kept already is not counted again. */
export const tallied = (tally: Tally, found: readonly Difference[]): Tally => {
  const news = found.filter(
    (one, position) =>
      !tally.first.some((known) => same(known, one)) && found.findIndex((other) => same(other, one)) === position,
  );
  if (news.length === 0) return tally;
  const counts = { ...tally.counts };
  for (const { kind } of news) counts[kind] = (counts[kind] ?? 0) + 1;
  const kept = new Map<string, Difference[]>();
  for (const one of [...tally.first, ...news].toSorted(byIndex)) {
    const key = `${one.store}/${one.kind}`;
    const list = kept.get(key) ?? [];
    kept.set(key, list);
    if (list.length < keptPerKind) list.push(one);
  }
  return { counts, first: [...kept.values()].flat().toSorted(byIndex) };
};

export const merged = (a: Tally, b: Tally): Tally => {
  const { first } = tallied({ counts: {}, first: a.first }, b.first);
  const counts = { ...a.counts };
  for (const [kind, count] of Object.entries(b.counts))
    counts[kind as DifferenceKind] = (counts[kind as DifferenceKind] ?? 0) + count;
  return { counts, first };
};

export const totalOf = ({ counts }: Tally): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

export const hasIn = ({ first }: Tally, store: Store): boolean => first.some((one) => one.store === store);
