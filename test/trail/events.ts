/** Events for tests of the log. */
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { platformEvent, type EventInput } from '../../schema/event.ts';

let sequence = 0;

/** A valid event, unlike any other; `changes` replace its fields. */
export const event = (changes: Record<string, unknown> = {}): EventInput => {
  sequence += 1;
  return platformEvent.parse({
    id: uuidv7(),
    correlationId: randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    emitter: { id: 'test', sequence },
    eventTime: new Date().toISOString(),
    actor: { principal: 'agent-1', kind: 'agent' },
    action: 'record.update',
    phase: 'outcome',
    outcome: 'success',
    system: 'salesforce',
    parts: [{ name: 'after', content: { Phone: '+49 30 1234567' } }],
    ...changes,
  });
};

/** Events of one emitter of its own, numbered from 1. */
export const emitterOf = (id: string) => {
  let next = 0;
  return (changes: Record<string, unknown> = {}): EventInput =>
    event({ emitter: { id, sequence: (next += 1) }, ...changes });
};
