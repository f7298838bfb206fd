/** Ids of the entries of one isolation probe: a repetition makes the same again. */
import { eventIdTimeMs, type EventId, type SpanId } from '../schema/ids.ts';
import { derivedEventId, derivedSpanId } from './derived-id.ts';

export const probeEntry = (probe: EventId, name: string): { id: EventId; spanId: SpanId } => {
  const seed = `isolation.probe\n${probe}\n${name}`;
  return { id: derivedEventId(eventIdTimeMs(probe), seed), spanId: derivedSpanId(seed) };
};
