import { buildTimeline, type Timeline } from '../../domain/timeline/timeline.ts';
import type { CorrelationId } from '../../schema/ids.ts';
import type { IndexedEvent, TrailReader } from '../../trail/reader.ts';
import { absent, extentOf, type Extent } from './query.ts';

export interface Chain extends Extent {
  /** In log order, at most `eventsMax`. Never empty. */
  readonly events: readonly IndexedEvent[];
  readonly truncated: boolean;
}

/** All events of a correlation id. Throws NOT_FOUND where the instance has none. */
export const findChain = async (
  reader: TrailReader,
  correlationId: CorrelationId,
  eventsMax: number,
): Promise<Chain> => {
  const extent = await extentOf(reader);
  const rows = await reader.find({ corr: correlationId, _id: { $lt: extent.upTo } }, { limit: eventsMax + 1 });
  if (rows.length === 0) throw absent('correlation id', extent);
  return { ...extent, events: rows.slice(0, eventsMax), truncated: rows.length > eventsMax };
};

/** `folded`: without the objects of bulk actions that have a row to be summarised in. */
export const timelineOf = ({ events }: Chain, folded: boolean): Timeline => {
  const timeline = buildTimeline(events);
  if (!folded) return timeline;
  const present = new Set(timeline.rows.map(({ event }) => event.entry.id));
  return {
    ...timeline,
    rows: timeline.rows.filter(({ foldedUnder }) => foldedUnder === null || !present.has(foldedUnder)),
  };
};
