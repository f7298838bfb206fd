/** Ids of the entries of one creation, in the platform's log and in the new one: a repetition makes the same again. */
import { eventIdTimeMs, type EventId, type InstanceId, type SpanId } from '../schema/ids.ts';
import { derivedEventId, derivedSpanId } from './derived-id.ts';

/** In the platform's log: how it ended. */
export const creationEnd = (request: EventId): { id: EventId; spanId: SpanId } =>
  derived(request, `instance.created\n${request}`);

/** In the new log: its first entry. */
export const firstEntryOf = (instance: InstanceId, request: EventId): { id: EventId; spanId: SpanId } =>
  derived(request, `instance.create\n${instance}\n${request}`);

const derived = (request: EventId, seed: string) => ({
  id: derivedEventId(eventIdTimeMs(request), seed),
  spanId: derivedSpanId(seed),
});
