import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compileByteFit } from '../../schema/byteFit.ts';
import { entrySchema } from '../../schema/event.ts';
import { sampleEntries } from '../tree/sampleEntries.ts';

const paths = ['id', 'instance', 'emitter.id', 'emitter.sequence'];
const { fits, spans } = compileByteFit(entrySchema, paths);
const samples = sampleEntries(50);
const span = (text: Buffer, place: number) => text.subarray(spans[2 * place], spans[2 * place + 1]).toString();

/** What a tamperer, or a broken writer, may make of the text. */
const edit = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    kind: fc.constant('insert' as const),
    at: fc.nat(),
    text: fc.constantFrom(
      ' ',
      '"',
      '\\',
      ',',
      '{',
      '}',
      '[]',
      '0',
      '-',
      '1e5',
      '.5',
      'null',
      'true',
      '"a":1,',
      '\\u0041',
      'é',
    ),
  }),
  fc.record({ kind: fc.constant('repeat' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 60 }) }),
);
type Edit = typeof edit extends fc.Arbitrary<infer E> ? E : never;

const edited = (text: Buffer, change: Edit): Buffer => {
  const at = change.at % (text.length + 1);
  switch (change.kind) {
    case 'put':
      return Buffer.concat([text.subarray(0, at), Buffer.from([change.byte]), text.subarray(at + 1)]);
    case 'cut':
      return Buffer.concat([text.subarray(0, at), text.subarray(at + change.length)]);
    case 'insert':
      return Buffer.concat([text.subarray(0, at), Buffer.from(change.text), text.subarray(at)]);
    case 'repeat':
      return Buffer.concat([text.subarray(0, at + change.length), text.subarray(at)]);
  }
  return change satisfies never;
};

const entry = () => JSON.parse(samples[0]!.toString()) as Record<string, unknown>;
const withField = (name: string, value: unknown) => Buffer.from(JSON.stringify({ ...entry(), [name]: value }));

describe('the test of an entry in bytes', () => {
  it('accepts entries as they are written, and says where their fields are', () => {
    for (const text of samples) {
      expect(fits(text)).toBe(true);
      const { id, instance, emitter } = JSON.parse(text.toString()) as z.infer<typeof entrySchema>;
      expect(paths.map((_, place) => JSON.parse(span(text, place)) as unknown)).toEqual([
        id,
        instance,
        emitter.id,
        emitter.sequence,
      ]);
    }
  });

  it('accepts nothing that is not JSON, or that the schema refuses', () => {
    fc.assert(
      fc.property(fc.nat(samples.length - 1), fc.array(edit, { minLength: 1, maxLength: 3 }), (which, changes) => {
        const text = changes.reduce(edited, samples[which]!);
        if (!fits(text)) return;
        const value: unknown = JSON.parse(text.toString('utf8'));
        expect(entrySchema.safeParse(value).error?.issues).toBeUndefined();
      }),
      { numRuns: 20_000 },
    );
  });

  it.each<[string, string, unknown, boolean]>([
    ['an hour that there is not', 'receivedTime', '2026-11-24T24:00:00.000Z', false],
    ['a minute that there is not', 'receivedTime', '2026-11-24T10:60:00.000Z', false],
    ['a second that there is not', 'receivedTime', '2026-11-24T10:00:60.000Z', false],
    ['another day', 'receivedTime', '2027-02-28T10:00:00.000Z', true],
    ['a day that there is not', 'receivedTime', '2027-02-29T10:00:00.000Z', false],
    ['another offset', 'receivedTime', '2026-11-24T10:00:00.000+', false],
    ['an id of another version', 'id', '01999999-0000-4000-8000-000000000001', false],
    ['an id of another variant', 'id', '01999999-0000-7000-c000-000000000001', false],
    ['an id in upper case', 'id', '01999999-0000-7000-8000-00000000000A', false],
    ['a correlation id of zeros', 'correlationId', '0'.repeat(32), false],
    ['a span id of zeros', 'spanId', '0'.repeat(16), false],
    ['an attempt of none', 'attempt', 0, false],
    ['an attempt too many', 'attempt', 1001, false],
    ['an attempt', 'attempt', 1000, true],
    ['half an attempt', 'attempt', 1.5, false],
    ['an action of no taxonomy', 'action', 'record.obliterate', false],
    ['as many fields as there may be', 'fields', Array.from({ length: 256 }, () => 'a'), true],
    ['more fields than there may be', 'fields', Array.from({ length: 257 }, () => 'a'), false],
    ['a field without a name', 'fields', [''], false],
    ['a version that is not an object', 'versions', [], false],
    ['no versions in play', 'versions', {}, true],
    ['an unknown field', 'nonsense', 1, false],
    ['nothing', 'outcome', null, false],
  ])('%s: %s', (_what, name, value, expected) => {
    // The times and labels of these were accepted before, and are known again.
    expect(fits(samples[0]!)).toBe(true);
    expect(fits(withField(name, value))).toBe(expected);
    expect(entrySchema.safeParse({ ...entry(), [name]: value }).success).toBe(expected);
  });

  it('leaves to JSON.parse what is written in another way', () => {
    const text = samples[0]!.toString();
    const others = [` ${text}`, `${text}\n`, text.replace('":', '": '), text.replace('"v"', '"\\u0076"'), `${text}}`];
    expect(others.map((other) => fits(Buffer.from(other)))).toEqual(others.map(() => false));
    expect(fits(Buffer.from(text.replace('"v":1', '"v":1,"v":1')))).toBe(false);
    expect(fits(Buffer.from(text.slice(0, -1)))).toBe(false);
    expect(fits(Buffer.alloc(0))).toBe(false);
  });

  it('leaves to the schema what it does not understand', () => {
    const test = (schema: z.ZodType, text: string) => compileByteFit(schema, []).fits(Buffer.from(text));
    expect(test(z.strictObject({ a: z.string() }), '{"a":"b"}')).toBe(true);
    expect(test(z.looseObject({ a: z.string() }), '{"a":"b"}')).toBe(false);
    expect(test(z.union([z.string(), z.number()]), '"a"')).toBe(false);
    expect(test(z.array(z.number()).length(1), '[1]')).toBe(false);
    expect(test(z.string().trim(), '"a"')).toBe(false);
    expect(test(z.boolean(), 'true')).toBe(true);
    expect(test(z.boolean(), 'tru')).toBe(false);
    expect(test(z.int(), '-5')).toBe(true);
    expect(test(z.int(), '-0')).toBe(false);
    expect(test(z.int(), '01')).toBe(false);
  });
});
