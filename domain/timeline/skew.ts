/**
 * How far each emitter's clock is from ours, estimated from the record alone. The difference between received time and
 * event time is skew plus transport; the median shrugs off single late arrivals, which a mean would not.
 */
import type { RecordedEvent } from '../../schema/event.ts';

export interface EmitterSkew {
  readonly emitter: string;
  /** Median of received time minus event time. Positive: its clock is behind ours (or it sends late). */
  readonly skewMs: number;
  /** How many entries the estimate rests on. */
  readonly count: number;
}

/** One estimate per emitter, sorted by the emitter's id. */
export const estimateSkew = (events: readonly RecordedEvent[]): EmitterSkew[] => {
  const differencesMs = new Map<string, number[]>();
  for (const { entry } of events) {
    const differenceMs = Date.parse(entry.receivedTime) - Date.parse(entry.eventTime);
    const known = differencesMs.get(entry.emitter.id);
    if (known === undefined) differencesMs.set(entry.emitter.id, [differenceMs]);
    else known.push(differenceMs);
  }
  return [...differencesMs]
    .map(([emitter, all]) => ({ emitter, skewMs: median(all), count: all.length }))
    .toSorted((a, b) => (a.emitter < b.emitter ? -1 : 1));
};

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : Math.round((sorted[middle - 1]! + sorted[middle]!) / 2);
};
