/** The text of entries and parts, against the general means that it is quicker than. */
import canonicalize from 'canonicalize';
import { describe, expect, it } from 'vitest';
import { entryText, normaliseTime, type EntryDraft } from '../../domain/entry.ts';
import { canonicalText, jsonText, quoted } from '../../domain/json.ts';
import { entrySchema } from '../../schema/event.ts';
import { randomFrom, type Random } from '../diagnosis/random.ts';

const awkward = [
  '"',
  '\\',
  '\n',
  '\u0000',
  '\u001f',
  '\u007f',
  '\u2028',
  'é',
  '漢',
  '😀',
  '\ud800',
  '\udc00',
  '/',
  ' ',
];

const randomText = (random: Random, alone: boolean): string => {
  let text = '';
  for (let length = random.below(12); length > 0; length -= 1) {
    const character = random.chance(0.3) ? random.pick(awkward) : String.fromCharCode(97 + random.below(26));
    if (alone || character.isWellFormed()) text += character;
  }
  return text;
};

const randomValue = (random: Random, alone: boolean, depth = 0): unknown => {
  const kind = random.below(depth > 3 ? 5 : 9);
  if (kind === 0) return null;
  if (kind === 1) return random.chance(0.5);
  if (kind === 2) return random.pick([0, -0, 1e21, 1e-7, 0.1, 123_456_789, -5.5, 2 ** 53]);
  if (kind <= 4) return randomText(random, alone);
  const size = random.below(4);
  if (kind <= 6) return Array.from({ length: size }, () => randomValue(random, alone, depth + 1));
  const flat = kind === 8;
  return Object.fromEntries(
    Array.from({ length: size }, () => [
      random.chance(0.2) ? String(random.below(20)) : randomText(random, alone),
      flat ? randomText(random, alone) : randomValue(random, alone, depth + 1),
    ]),
  );
};

describe('JSON text', () => {
  it('is that of JSON.stringify, whatever the strings hold', () => {
    const random = randomFrom(7);
    for (let round = 0; round < 5000; round += 1) {
      const value = randomValue(random, true);
      expect(jsonText(value)).toBe(JSON.stringify(value));
      const text = randomText(random, true);
      expect(quoted(text)).toBe(JSON.stringify(text));
    }
    expect(jsonText({ a: undefined, b: 1 })).toBe('{"b":1}');
  });

  it('is canonical (RFC 8785) for content', () => {
    const random = randomFrom(8);
    for (let round = 0; round < 5000; round += 1) {
      const value = randomValue(random, false);
      expect(canonicalText(value)).toBe(canonicalize(value));
    }
    expect(canonicalText({ b: 'x', a: 'y' })).toBe('{"a":"y","b":"x"}');
    expect(canonicalText({ 10: 'x', 9: 'y' })).toBe(canonicalize({ 10: 'x', 9: 'y' }));
    expect(() => canonicalText('\ud800')).toThrow('surrogate');
    expect(() => canonicalText({ a: '\ud800' })).toThrow('surrogate');
  });
});

describe('the text of an entry', () => {
  const nested = { principal: 'p', kind: 'agent', runtime: 'r"t' };
  /** A value for each key of the event model; where the model wants an object, one with its keys. */
  const draft = Object.fromEntries(
    Object.keys(entrySchema.shape).map((key) => [key, `${key} "quoted"`]),
  ) as unknown as EntryDraft;
  const full = {
    ...draft,
    id: '0190a3a4-1111-7abc-8def-0123456789ab',
    emitter: { id: 'e"1', sequence: 7 },
    actor: nested,
    parts: [
      { name: 'a', sizeBytes: 1, commitment: 'c' },
      { name: 'b', subject: 's', chunk: { position: 0, of: 2 }, sizeBytes: 2, commitment: 'd' },
    ],
  } as unknown as EntryDraft;
  /** These are identifiers and enumerations of the model: nothing in them is ever escaped. */
  const plain = ['instance', 'correlationId', 'spanId', 'eventTime', 'receivedTime', 'provenance', 'action', 'phase'];
  const safe = Object.fromEntries([...plain, 'system', 'retentionClass'].map((key) => [key, key]));

  it('holds every key of the event model, in its order, as JSON.stringify writes them', () => {
    const entry: EntryDraft = { ...full, ...safe };
    const written = JSON.parse(entryText(entry)) as Record<string, unknown>;
    expect(new Set(Object.keys(written))).toEqual(new Set(Object.keys(entrySchema.shape)));
    expect(written).toEqual({ ...entry, v: 1 });
    const ordered = Object.fromEntries(Object.keys(written).map((key) => [key, { ...entry, v: 1 }[key as 'v']]));
    expect(entryText(entry)).toBe(JSON.stringify(ordered));
  });

  it('leaves out what an entry does not say', () => {
    const { parentSpanId: _parent, ...without } = { ...full, ...safe, flags: undefined };
    const text = entryText(without);
    expect(text).not.toContain('parentSpanId');
    expect(text).not.toContain('flags');
  });
});

describe('an event time', () => {
  it('is kept where it is UTC with milliseconds already, on a day that there is', () => {
    const random = randomFrom(9);
    const two = (below: number) => String(random.below(below)).padStart(2, '0');
    for (let round = 0; round < 5000; round += 1) {
      const sent = `${2000 + random.below(60)}-${two(14)}-${two(33)}T${two(26)}:${two(62)}:${two(62)}.${two(100)}0Z`;
      const parsed = new Date(sent);
      if (Number.isNaN(parsed.getTime())) continue;
      const { eventTime, eventTimeOriginal } = normaliseTime(sent);
      expect(eventTime).toBe(parsed.toISOString());
      expect(eventTimeOriginal).toBe(eventTime === sent ? undefined : sent);
    }
  });
});
