/** Event ids that a repetition makes again, so that the log answers it as a duplicate. */
import { createHash } from 'node:crypto';
import type { EventId, SpanId } from '../schema/ids.ts';

/** A UUIDv7 (RFC 9562, 5.7) of this time whose other bits come from `seed`. */
export const derivedEventId = (timeMs: number, seed: string): EventId => {
  const bytes = createHash('sha256').update(seed).digest().subarray(0, 16);
  bytes.writeUIntBE(timeMs, 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex');
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return groups.join('-') as EventId;
};

export const derivedSpanId = (seed: string): SpanId =>
  createHash('sha256').update(`span\n${seed}`).digest('hex').slice(0, 16) as SpanId;
