/** Ids of entries that are made where neither a clock nor a random source of the system may be used. */
import type { EventId, SpanId } from '../../schema/ids.ts';

/**
 * A UUIDv7 (RFC 9562, 5.7) of this time, with the random bits of a UUIDv4. Inside a workflow both come from the
 * workflow, so a replay makes the same id again.
 */
export const eventIdOf = (timeMs: number, uuid4: string): EventId => {
  const time = timeMs.toString(16).padStart(12, '0');
  const random = uuid4.toLowerCase();
  // A UUIDv4 has its variant bits in the same place, and 12 random bits after its version.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}` as EventId;
};

/** The span of an entry that has no span of its own: the last 64 bits of its id, which are never all zero. */
export const spanOf = (id: EventId): SpanId => id.replaceAll('-', '').slice(16) as SpanId;

/** Each guarded action writes under an emitter of its own; nothing else writes under it. */
export const actionEmitter = (intent: EventId): string => `platform/action/${intent}`;
export const runEmitter = (run: EventId): string => `platform/run/${run}`;
