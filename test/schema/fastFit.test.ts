import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { entrySchema, reportedEvent } from '../../schema/event.ts';
import { compileFit } from '../../schema/fastFit.ts';
import { benchEvent, newRun } from '../bench/events.ts';
import { sampleEntries } from '../tree/sampleEntries.ts';

const event = (): Record<string, unknown> => ({
  ...JSON.parse(JSON.stringify(benchEvent({ run: newRun('emitter'), sequence: 1, subject: 7 }))),
  error: { code: 'RATE_LIMITED', httpStatus: 429, retryAfterMs: 1000 },
  versions: { agentBuild: 'b1', model: 'm@1' },
  fields: ['Phone'],
  batch: { parent: '01999999-0000-7000-8000-000000000001', position: 0, size: 2 },
});
const entry = (): Record<string, unknown> => JSON.parse(sampleEntries(1)[0]!.toString('utf8'));

const fits = compileFit(reportedEvent, { ordered: true });
const fitsEntry = compileFit(entrySchema, { ordered: false });

/** Every place in a value, the value itself being the last. */
const places = (value: unknown, path: readonly string[] = []): string[][] => [
  ...(typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([name, inner]) => places(inner, [...path, name]))
    : []),
  [...path],
];

const changed = (value: unknown, [name, ...rest]: readonly string[], put: unknown): unknown => {
  if (name === undefined) return put;
  const copy: Record<string, unknown> = Array.isArray(value) ? ([...value] as never) : { ...(value as object) };
  if (rest.length === 0 && put === undefined) delete copy[name];
  else copy[name] = changed(copy[name], rest, put);
  return copy;
};

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    '',
    ' ',
    'x',
    0,
    -1,
    1.5,
    Number.POSITIVE_INFINITY,
    Number.NaN,
    [],
    {},
    [[]],
    true,
  ),
  fc.constantFrom<unknown>('2026-11-24T10:00:00Z', '2026-11-24', '2026-02-30T10:00:00.000Z', 'agent', 'success'),
  fc.constantFrom<unknown>(JSON.parse('{"__proto__": 1}'), { more: 1 }, 'a'.repeat(600), '\ud800'),
  fc.jsonValue({ maxDepth: 3 }),
);

describe.each([
  { name: 'a reported event', schema: reportedEvent, test: fits, make: event },
  { name: 'an entry', schema: entrySchema, test: fitsEntry, make: entry },
])('the plain test of $name', ({ schema, test, make }) => {
  it('accepts what is usual without asking the schema', () => {
    expect(test(make())).toBe(true);
  });

  it('accepts nothing that the schema refuses or would give back as something else', () => {
    const at = places(make());
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...at), odd), { minLength: 1, maxLength: 3 }), (changes) => {
        const value = changes.reduce<unknown>((before, [path, put]) => {
          try {
            return changed(before, path, put);
          } catch {
            return before;
          }
        }, make());
        if (!test(value)) return;
        const parsed = schema.safeParse(value);
        expect(parsed.error?.issues).toBeUndefined();
        expect(parsed.data).toEqual(value);
      }),
      { numRuns: 3000 },
    );
  });

  it('refuses each field that is missing or unknown', () => {
    const needed = places(make()).filter(
      (path) => path.length > 0 && !schema.safeParse(changed(make(), path, undefined)).success,
    );
    expect(needed.length).toBeGreaterThan(10);
    expect(needed.filter((path) => test(changed(make(), path, undefined)))).toEqual([]);
    expect(test({ ...make(), more: 1 })).toBe(false);
  });
});

describe('the plain test of a schema', () => {
  it('leaves to the schema what it would put in order', () => {
    const { emitter, ...rest } = event() as { emitter: { id: string; sequence: number } };
    const turned = { ...rest, emitter: { sequence: emitter.sequence, id: emitter.id } };
    expect(fits(turned)).toBe(false);
    expect(compileFit(reportedEvent, { ordered: false })(turned)).toBe(true);
    expect(fits({ emitter, ...rest })).toBe(true);
  });

  it('leaves to the schema what it does not understand', () => {
    const ordered = { ordered: true };
    expect(compileFit(z.string().transform(Number), ordered)('1')).toBe(false);
    expect(compileFit(z.string().trim(), ordered)('a')).toBe(false);
    expect(compileFit(z.looseObject({}), ordered)({ a: 1 })).toBe(false);
    expect(compileFit(z.string().regex(/a/g), ordered)('a')).toBe(false);
    expect(compileFit(z.strictObject({ a: z.string().default('x') }), ordered)({})).toBe(false);
  });

  it('follows nested content only so far', () => {
    const nested = (levels: number) => JSON.parse(`${'['.repeat(levels)}1${']'.repeat(levels)}`) as unknown;
    const test = compileFit(z.json(), { ordered: true });
    expect(test(nested(60))).toBe(true);
    expect(test(nested(5000))).toBe(false);
    expect(test(nested(60))).toBe(true);
  });
});
