/**
 * JSON text of plain data, byte for byte as `JSON.stringify` and RFC 8785 (JSON Canonicalization Scheme) have it, at a
 * third of their price for what events are made of: `JSON.stringify` looks at each character of a string (4 ns), where
 * one test tells that nothing in it is to be escaped. What is out of the ordinary is left to them.
 */
import canonicalize from 'canonicalize';

/** What JSON escapes in a string, and surrogates, of which it escapes those that stand alone. */
// oxlint-disable-next-line no-control-regex
const special = /[\u0000-\u001f"\\\ud800-\udfff]/;

/** A string as `JSON.stringify` writes it. */
export const quoted = (text: string): string => (special.test(text) ? JSON.stringify(text) : `"${text}"`);

/** As `JSON.stringify`, for data without `toJSON`, of which nothing but properties may be undefined. */
export const jsonText = (value: unknown): string => {
  if (typeof value === 'string') return quoted(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) text += `${text === '' ? '' : ','}${jsonText(item)}`;
    return `[${text}]`;
  }
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key];
    if (inner !== undefined) text += `${text === '' ? '' : ','}${quoted(key)}:${jsonText(inner)}`;
  }
  return `{${text}}`;
};

/** Canonical JSON (RFC 8785). Throws for what JSON can't say: a lone surrogate, a number that is not finite. */
export const canonicalText = (value: unknown): string => {
  if (typeof value === 'string' && !special.test(value)) return `"${value}"`;
  return flatText(value) ?? canonicalize(value) ?? 'null';
};

/** Of an object whose values are strings without anything to escape, in the order of their keys; else undefined. */
const flatText = (value: unknown): string | undefined => {
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype)
    return undefined;
  let text = '';
  let last: string | undefined;
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key];
    // In the order of UTF-16 code units, which is JavaScript's own for strings.
    if (typeof inner !== 'string' || special.test(inner) || special.test(key)) return undefined;
    if (last !== undefined && key < last) return undefined;
    text += `${last === undefined ? '' : ','}"${key}":"${inner}"`;
    last = key;
  }
  return `{${text}}`;
};
