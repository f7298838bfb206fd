import { entrySchema } from '../../schema/event.ts';

export const instance = 'acme';
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

/** Event id of entry `i`, a UUIDv7 with one millisecond an entry. */
export const eventIdOf = (i: number): string => {
  const time = hex(1_760_000_000_000 + i, 12);
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${hex(i, 12)}`;
};

/** Entry `i` of a sample log, as an object; three emitters take turns. */
export function sampleEntry(i: number, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const time = new Date(1_760_000_000_000 + i).toISOString();
  return {
    v: 1,
    instance,
    id: eventIdOf(i),
    correlationId: hex(1 + Math.floor(i / 10), 32),
    spanId: hex(i + 1, 16),
    emitter: { id: `emitter-${i % 3}`, sequence: Math.floor(i / 3) + 1 },
    actor: { principal: 'sales-agent', kind: 'agent' },
    phase: 'outcome',
    outcome: 'success',
    system: 'salesforce',
    eventTime: time,
    receivedTime: time,
    provenance: 'platform',
    action: 'record.update',
    retentionClass: 'operational',
    parts: [],
    ...changes,
  };
}

export const bytesOf = (entry: unknown): Buffer => Buffer.from(JSON.stringify(entry));

/** `count` entries that the schema accepts. */
export function sampleEntries(count: number): Buffer[] {
  entrySchema.parse(sampleEntry(0));
  return Array.from({ length: count }, (_, i) => bytesOf(sampleEntry(i)));
}
