/**
 * A schema as a test of JSON text in bytes: whether the text is JSON, and its value fits, without a value being made. For the
 * verification of logs, where each of millions of entries has to be looked at: parsing an entry and testing it takes three
 * times as long as its hash does.
 *
 * `true` means that JSON.parse takes the text and the schema its value. `false` means nothing: text that is not written as
 * entries are (white space, escapes, characters beyond ASCII, fractions, a field twice, a kind of schema that is not
 * known here) is for JSON.parse and the schema to judge.
 */
import type { z } from 'zod';
import { compileFit, type Fits } from './fastFit.ts';
import { correlationIdPattern, eventIdPattern, spanIdPattern } from './ids.ts';

type Schema = z.core.$ZodType;

/** Where the value that begins at `at` ends; -1 where it does not fit, or can't be told. */
type Scan = (text: Uint8Array, at: number) => number;

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const anyOrder = { ordered: false };

/** Two places for each path that is asked for: where its value begins, and where it ends. -1 where it is not there. */
export interface ByteFit {
  /** Of the whole text, or of the bytes from `from` up to, but without, `to`. */
  readonly fits: (text: Uint8Array, from?: number, to?: number) => boolean;
  /** Of the text that fitted last. */
  readonly spans: Int32Array;
}

/** `paths`: fields whose places are wanted, for example `emitter.id`; a string's quotes are part of its span. */
export const compileByteFit = (schema: Schema, paths: readonly string[]): ByteFit => {
  const spans = new Int32Array(2 * paths.length);
  const scan = new Compiler(paths, spans).compile(schema, '');
  return {
    spans,
    fits: (text, from = 0, to = text.length) => {
      spans.fill(-1);
      // A scan that ran on behind the range would not end with it.
      return scan(text, from) === to;
    },
  };
};

class Compiler {
  readonly #paths: readonly string[];
  readonly #spans: Int32Array;

  constructor(paths: readonly string[], spans: Int32Array) {
    this.#paths = paths;
    this.#spans = spans;
  }

  compile(schema: Schema, path: string): Scan {
    const scan = this.#scanOf(schema, path);
    const place = this.#paths.indexOf(path);
    if (place < 0) return scan;
    const spans = this.#spans;
    return (text, at) => {
      const end = scan(text, at);
      spans[2 * place] = at;
      spans[2 * place + 1] = end;
      return end;
    };
  }

  #scanOf(schema: Schema, path: string): Scan {
    const def = schema._zod.def as z.core.$ZodTypes['_zod']['def'];
    if (def.type === 'optional') return this.compile(def.innerType, path);
    if (def.type === 'string') return scanString(schema);
    if (def.type === 'enum') return scanText(compileFit(schema, anyOrder));
    if (def.type === 'number') return scanInteger(compileFit(schema, anyOrder));
    if (def.type === 'boolean') return scanBoolean;
    if (def.type === 'array') return scanArray(this.compile(def.element, `${path}[]`), lengthJudge(schema));
    if (def.type === 'literal') {
      const fits = compileFit(schema, anyOrder);
      return def.values.every((value) => typeof value === 'number') ? scanInteger(fits) : scanText(fits);
    }
    if (def.type === 'object' && def.catchall?._zod.def.type === 'never') {
      const fields = Object.entries(def.shape).map(([name, field]) => ({
        key: new Uint8Array(Buffer.from(`${JSON.stringify(name)}:`)),
        scan: this.compile(field, path === '' ? name : `${path}.${name}`),
        optional: field._zod.def.type === 'optional',
      }));
      return scanObject(fields);
    }
    return unknown;
  }
}

const unknown: Scan = () => -1;

const matches = (text: Uint8Array, at: number, expected: Uint8Array): boolean => {
  if (at + expected.length > text.length) return false;
  for (let i = 0; i < expected.length; i += 1) if (text[at + i] !== expected[i]) return false;
  return true;
};

interface Field {
  readonly key: Uint8Array;
  readonly scan: Scan;
  readonly optional: boolean;
}

/** Fields come in the same order almost always: the one that followed last time is tried first. */
const scanObject = (fields: readonly Field[]): Scan => {
  const required = fields.filter(({ optional }) => !optional).length;
  const followedBy = new Uint16Array(fields.length + 1);
  const seenIn = new Float64Array(fields.length);
  let visit = 0;
  const find = (text: Uint8Array, at: number, before: number): number => {
    const guess = followedBy[before]!;
    if (fields[guess] && matches(text, at, fields[guess].key)) return guess;
    const found = fields.findIndex(({ key }) => matches(text, at, key));
    if (found >= 0) followedBy[before] = found;
    return found;
  };
  return (text, at) => {
    if (text[at] !== 0x7b) return -1;
    visit += 1;
    let found = 0;
    let before = fields.length;
    let next = at + 1;
    if (text[next] === 0x7d) return required === 0 ? next + 1 : -1;
    for (;;) {
      const place = find(text, next, before);
      if (place < 0 || seenIn[place] === visit) return -1;
      seenIn[place] = visit;
      const { key, scan, optional } = fields[place]!;
      next = scan(text, next + key.length);
      if (next < 0) return -1;
      if (!optional) found += 1;
      before = place;
      if (text[next] === 0x7d) return found === required ? next + 1 : -1;
      if (text[next] !== comma) return -1;
      next += 1;
    }
  };
};

const scanArray =
  (element: Scan, fits: Fits): Scan =>
  (text, at) => {
    if (text[at] !== 0x5b) return -1;
    let next = at + 1;
    let length = 0;
    if (text[next] !== 0x5d) {
      for (;;) {
        next = element(text, next);
        if (next < 0) return -1;
        length += 1;
        if (text[next] === 0x5d) break;
        if (text[next] !== comma) return -1;
        next += 1;
      }
    }
    return fits(length) ? next + 1 : -1;
  };

/** Whether an array may be of a length. */
const lengthJudge = (schema: Schema): Fits => {
  const checks = (schema._zod.def.checks ?? []).map((check) => check._zod.def as z.core.$ZodChecks['_zod']['def']);
  let least = 0;
  let most = Number.POSITIVE_INFINITY;
  for (const check of checks) {
    if (check.check === 'max_length') most = Math.min(most, check.maximum);
    else if (check.check === 'min_length') least = Math.max(least, check.minimum);
    else return () => false;
  }
  return (length) => (length as number) >= least && (length as number) <= most;
};

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

const scanInteger =
  (fits: Fits): Scan =>
  (text, at) => {
    const negative = text[at] === 0x2d;
    const first = negative ? at + 1 : at;
    let next = first;
    let value = 0;
    while (isDigit(text[next])) value = value * 10 + text[next++]! - 0x30;
    const digits = next - first;
    // No leading zero, no minus zero, and few enough digits to be exact.
    if (digits === 0 || digits > 15 || (text[first] === 0x30 && (digits > 1 || negative))) return -1;
    return fits(negative ? -value : value) ? next : -1;
  };

const [trueText, falseText] = [new Uint8Array(Buffer.from('true')), new Uint8Array(Buffer.from('false'))];
const scanBoolean: Scan = (text, at) =>
  matches(text, at, trueText) ? at + 4 : matches(text, at, falseText) ? at + 5 : -1;

/** Where the string that begins at `at` has its closing quote; -1 where it is not plain ASCII without escapes. */
const closingQuote = (text: Uint8Array, at: number): number => {
  if (text[at] !== quote) return -1;
  for (let next = at + 1; next < text.length; next += 1) {
    const byte = text[next]!;
    if (byte === quote) return next;
    if (byte < 0x20 || byte > 0x7e || byte === 0x5c) return -1;
  }
  return -1;
};

/** Of plain ASCII. */
const asText = (text: Uint8Array, from: number, to: number): string =>
  Buffer.from(text.buffer, text.byteOffset + from, to - from).toString('latin1');

const slots = 128;
const keptBytesMax = 160;

/**
 * A string that is judged as one. What was accepted lately is known again by its bytes: most fields have few values, or
 * the same as the entry before.
 */
const scanText = (fits: Fits): Scan => {
  const kept = Array.from({ length: slots }, () => new Uint8Array(0));
  return (text, at) => {
    // Bytes beyond a short string are those of the next field's name: mostly the same as well.
    const slot =
      (Math.imul(text[at + 2]!, 31) + Math.imul(text[at + 5]!, 17) + Math.imul(text[at + 7]!, 13) + text[at + 8]!) &
      (slots - 1);
    const known = kept[slot]!;
    if (known.length > 0 && matches(text, at, known)) return at + known.length;
    const end = closingQuote(text, at);
    if (end < 0) return -1;
    if (!fits(asText(text, at + 1, end))) return -1;
    if (end - at < keptBytesMax) kept[slot] = new Uint8Array(text.subarray(at, end + 1));
    return end + 1;
  };
};

const hexDigits = new Uint8Array(256);
for (const digit of '0123456789abcdef') hexDigits[digit.charCodeAt(0)] = 1;

/** So many lower-case hex digits between quotes. */
const scanHex =
  (length: number, zeroToo: boolean): Scan =>
  (text, at) => {
    const end = at + 1 + length;
    if (text[at] !== quote || text[end] !== quote) return -1;
    let only = 1;
    let bits = 0;
    for (let next = at + 1; next < end; next += 1) {
      const byte = text[next]!;
      only &= hexDigits[byte]!;
      bits |= byte ^ 0x30;
    }
    return only === 1 && (zeroToo || bits !== 0) ? end + 1 : -1;
  };

/** eventIdPattern */
const scanEventId: Scan = (text, at) => {
  const end = at + 37;
  if (text[at] !== quote || text[end] !== quote) return -1;
  for (const place of dashesOfEventId) if (text[at + place] !== 0x2d) return -1;
  let only = text[at + 15] === 0x37 ? 1 : 0;
  for (const [from, to] of eventIdGroups) {
    for (let next = at + from; next < at + to; next += 1) only &= hexDigits[text[next]!]!;
  }
  const variant = text[at + 20]!;
  const known = variant === 0x38 || variant === 0x39 || variant === 0x61 || variant === 0x62;
  return only === 1 && known ? end + 1 : -1;
};
const dashesOfEventId = [9, 14, 19, 24] as const;
const eventIdGroups = [
  [1, 9],
  [10, 14],
  [15, 19],
  [20, 24],
  [25, 37],
] as const;

/** A time in UTC with milliseconds: a date that was judged before, and a time of day. */
const scanTime = (fits: Fits): Scan => {
  let date: Uint8Array = new Uint8Array(0);
  return (text, at) => {
    const end = at + 25;
    if (text[at] !== quote || text[end] !== quote || text[end - 1] !== 0x5a) return -1;
    if (date.length === 0 || !matches(text, at, date)) {
      if (closingQuote(text, at) !== end) return -1;
      if (!fits(asText(text, at + 1, end))) return -1;
      date = new Uint8Array(text.subarray(at, at + 12));
      return end + 1;
    }
    const hour = (text[at + 12]! - 0x30) * 10 + text[at + 13]! - 0x30;
    const minute = text[at + 15]! < 0x36;
    const second = text[at + 18]! < 0x36;
    for (const place of digitsOfTime) if (!isDigit(text[at + place])) return -1;
    const marks = text[at + 14] === colon && text[at + 17] === colon && text[at + 20] === 0x2e;
    return hour < 24 && minute && second && marks ? end + 1 : -1;
  };
};
const digitsOfTime = [12, 13, 15, 16, 18, 19, 21, 22, 23] as const;

const scanString = (schema: Schema): Scan => {
  const def = schema._zod.def as z.core.$ZodStringDef & z.core.$ZodStringFormatDef;
  const fits = compileFit(schema, anyOrder);
  if (def.format === 'datetime') return (def as z.core.$ZodISODateTimeDef).precision === 3 ? scanTime(fits) : unknown;
  const [check, ...more] = def.checks ?? [];
  if (check === undefined || more.length > 0) return scanText(fits);
  const { pattern } = check._zod.def as z.core.$ZodCheckStringFormatDef;
  if (pattern === eventIdPattern) return scanEventId;
  if (pattern === correlationIdPattern) return scanHex(32, false);
  if (pattern === spanIdPattern) return scanHex(16, false);
  if (pattern?.source === '^[0-9a-f]{64}$') return scanHex(64, true);
  return scanText(fits);
};
