/** Who caused what, walked upwards. Safe on records whose causes are missing or go round in a circle. */
import type { RecordedEvent } from '../../schema/event.ts';

export type EventsById = ReadonlyMap<string, RecordedEvent>;

/** By log index, each id once. */
export const inLogOrder = (events: readonly RecordedEvent[]): RecordedEvent[] => {
  const byId = new Map<string, RecordedEvent>();
  for (const event of events.toSorted((a, b) => a.index - b.index)) {
    if (!byId.has(event.entry.id)) byId.set(event.entry.id, event);
  }
  return [...byId.values()];
};

export const indexById = (events: readonly RecordedEvent[]): Map<string, RecordedEvent> =>
  new Map(events.map((event) => [event.entry.id, event]));

const causeOf = (event: RecordedEvent): string | undefined => event.entry.causedBy ?? event.entry.batch?.parent;

/** The event itself and what led to it, nearest first, up to the root or to the first cause that is not at hand. */
export function* lineage(event: RecordedEvent, byId: EventsById): Generator<RecordedEvent> {
  const seen = new Set<string>();
  for (let at: RecordedEvent | undefined = event; at !== undefined && !seen.has(at.entry.id);) {
    seen.add(at.entry.id);
    yield at;
    const cause: string | undefined = causeOf(at);
    at = cause === undefined ? undefined : byId.get(cause);
  }
}

/**
 * For each event the nearest one at or above it that `is` what is looked for. Each step of the record is walked once,
 * however deep it is.
 */
export const nearest = (
  events: readonly RecordedEvent[],
  byId: EventsById,
  is: (event: RecordedEvent) => boolean,
): ((event: RecordedEvent) => RecordedEvent | null) => {
  const known = new Map<string, RecordedEvent | null>();
  const resolve = (event: RecordedEvent): RecordedEvent | null => {
    const walked: string[] = [];
    let found: RecordedEvent | null = null;
    for (const at of lineage(event, byId)) {
      const before = known.get(at.entry.id);
      if (before !== undefined) {
        found = before;
        break;
      }
      walked.push(at.entry.id);
      if (is(at)) {
        found = at;
        break;
      }
    }
    for (const id of walked) known.set(id, found);
    return found;
  };
  for (const event of events) resolve(event);
  return resolve;
};
