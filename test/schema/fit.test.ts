import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { reportedEvent } from '../../schema/event.ts';
import { misfits } from '../../schema/fit.ts';

const event = {
  id: '019a0000-0000-7000-8000-000000000000',
  correlationId: '0123456789abcdef0123456789abcdef',
  spanId: '0123456789abcdef',
  emitter: { id: 'runtime', sequence: 1 },
  eventTime: '2026-11-03T10:00:00Z',
  actor: { principal: 'sales-agent', kind: 'agent' },
  action: 'tool.call',
  phase: 'observation',
  system: 'agent',
};

const canary = 'words-that-must-not-come-back';

const said = (changes: Record<string, unknown>): string[] => {
  const input = { ...event, ...changes };
  const parsed = reportedEvent.safeParse(input);
  return parsed.success ? [] : misfits(parsed.error, input);
};

describe('what does not fit the event model', () => {
  it.each<[string, Record<string, unknown>, string | RegExp]>([
    ['a field that is missing', { emitter: undefined }, 'emitter is missing'],
    ['a field of a field that is missing', { emitter: { id: 'runtime' } }, 'emitter.sequence is missing'],
    ['a value of another vocabulary', { system: canary }, /^system must be one of salesforce, slack, .*, trailkeeper$/],
    ['no value of a vocabulary', { phase: undefined }, /^phase is missing: it must be one of intent, attempt, /],
    ['an unknown field', { nonsense: canary }, '"nonsense": there is no such field'],
    [
      'an unknown field inside',
      { emitter: { id: 'a', sequence: 1, x: canary } },
      '"x" in emitter: there is no such field',
    ],
    ['an unknown field with a long name', { ['n'.repeat(70)]: canary }, `"${'n'.repeat(64)}…": there is no such field`],
    [
      'a time without an offset',
      { eventTime: '2026-11-03T10:00:00' },
      /^eventTime must be a time with an offset, .*; this one has no offset$/,
    ],
    ['what is no time', { eventTime: `${canary}Z` }, /^eventTime must be a time with an offset, such as .*\+01:00$/],
    ['an id of another kind', { id: canary }, 'id must be a UUIDv7 in lower case'],
    ['a wrong type', { emitter: canary }, 'emitter must be an object'],
    [
      'a number out of range',
      { emitter: { id: 'a', sequence: 0 } },
      /^emitter.sequence must be at least|^emitter.sequence must be .*0/,
    ],
    [
      'a URL for an endpoint',
      { endpoint: `https://x.example/${canary}?q` },
      /^endpoint does not fit: an endpoint is a template/,
    ],
    [
      'an actor that is nearly one',
      { actor: { principal: 'a', kind: canary } },
      /^actor.kind must be one of agent, human/,
    ],
    ['no actor', { actor: undefined }, 'actor is missing'],
  ])('is told for %s, without the value', (_what, changes, expected) => {
    const phrases = said(changes);
    expect(phrases).toHaveLength(1);
    expect(phrases[0]).toMatch(expected);
    expect(phrases.join()).not.toContain(canary);
  });

  it('is told in numbers where something is too long', () => {
    const schema = z.strictObject({ list: z.array(z.int()).max(1), text: z.string().max(3) });
    const input = { list: [1, 2], text: canary };
    expect(misfits(schema.safeParse(input).error!, input)).toEqual([
      'list must have at most 1 elements',
      'text must have at most 3 characters',
    ]);
  });
});
