/** How often each kind of check comes by itself, and when its absence is too long. */
import { checkKinds, type CheckKind } from './contract.ts';

export type CheckIntervals = Readonly<Record<CheckKind, number>>;

const hourMs = 3_600_000;
export const usualIntervalsMs: CheckIntervals = { sample: 24 * hourMs, full: 7 * 24 * hourMs };

/** Kinds whose latest check ended longer ago than twice their interval; `createdMs` stands in for one that never was. */
export const overdueKinds = (
  last: Readonly<Partial<Record<CheckKind, number>>>,
  about: { readonly intervalsMs: CheckIntervals; readonly createdMs: number; readonly nowMs: number },
): CheckKind[] =>
  checkKinds.filter((kind) => about.nowMs - (last[kind] ?? about.createdMs) > 2 * about.intervalsMs[kind]);
