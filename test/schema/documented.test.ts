/** docs/event-model.md is what integrators have: its example is an event, and it names everything that there is. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { entrySchema, reportedEvent } from '../../schema/event.ts';
import {
  actions,
  channelKinds,
  entryFlags,
  outcomes,
  phases,
  retentionClasses,
  systems,
} from '../../schema/taxonomy.ts';

const text = readFileSync(resolve(import.meta.dirname, '../../docs/event-model.md'), 'utf8');
const example = JSON.parse(/```json\n([^`]+)```/.exec(text)![1]!) as Record<string, unknown>;

describe('the event model, as it is documented', () => {
  it('shows an event that an agent can report', () => {
    expect(reportedEvent.safeParse(example).error).toBeUndefined();
  });

  it.each(['id', 'correlationId', 'spanId', 'emitter', 'eventTime', 'actor', 'action', 'phase', 'system'])(
    'says that %s is required',
    (field) => {
      const { [field]: _left, ...rest } = example;
      expect(reportedEvent.safeParse(rest).success).toBe(false);
    },
  );

  it.each(Object.keys(entrySchema.shape))('names the field %s', (field) => {
    expect(text).toContain(`\`${field}\``);
  });

  it.each([...actions, ...phases, ...outcomes, ...systems, ...retentionClasses, ...channelKinds, ...entryFlags])(
    'names the value %s',
    (value) => {
      expect(text).toContain(`\`${value}\``);
    },
  );

  it.each([
    ['an unknown field', { ...example, colour: 'red' }],
    ['an unknown action', { ...example, action: 'record.explode' }],
    ['an action of the platform', { ...example, action: 'policy.publish' }],
    ['a time without an offset', { ...example, eventTime: '2026-11-24T12:24:50' }],
    ['an id that is no UUIDv7', { ...example, id: '6fa459ea-ee8a-4ca4-894e-db77e160355e' }],
    ['a URL for an endpoint', { ...example, endpoint: 'https://example.com/contacts/1?x=y' }],
    ['a sequence number of 0', { ...example, emitter: { id: 'x', sequence: 0 } }],
  ])('refuses %s', (_what, event) => {
    expect(reportedEvent.safeParse(event).success).toBe(false);
  });
});
