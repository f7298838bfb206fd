/** Reading payload parts, each with the reason why it can't be read. Nothing here looks at values but to compare them. */
import type { RecordedEvent } from '../../schema/event.ts';
import { applyMapping, MappingError, type Mapping } from '../mapping.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

export type Content =
  | { readonly state: 'present'; readonly value: Json }
  /** The entry commits to no such part. */
  | { readonly state: 'none' }
  | { readonly state: 'erased' }
  | { readonly state: 'withheld' };

export const contentOf = (event: RecordedEvent, part: string): Content => {
  const content = event.parts?.[part];
  if (content?.state === 'present') return { state: 'present', value: content.content as Json };
  if (!event.entry.parts.some(({ name }) => name === part)) return { state: 'none' };
  return { state: content?.state ?? 'withheld' };
};

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The mapping that a publication published; undefined where its content is no mapping. */
export const mappingIn = (content: Json, name: string, version: string): Mapping | undefined => {
  const fields = isObject(content) ? content['fields'] : undefined;
  if (!isObject(fields) || !Object.values(fields).every((field) => typeof field === 'string')) return undefined;
  return { name, version, fields: fields as Record<string, string> };
};

/** JSON equality; the order of an object's members does not matter. */
export const sameJson = (a: Json | undefined, b: Json | undefined): boolean => {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => sameJson(item, b[at]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]))
  );
};

export type MappedComparison =
  | { readonly state: 'as-mapped' }
  | { readonly state: 'differs'; readonly fields: readonly string[] }
  | { readonly state: 'surplus'; readonly fields: readonly string[] }
  | { readonly state: 'malformed' };

/** Vendor fields that carry identity and correlation, not what was asked for. */
const isBookkeeping = (field: string): boolean => /^(?:id|attributes)$|trailkeeper/i.test(field);

/**
 * Is `sent` what the mapping makes of `requested`? Fields of the mapping that were sent without being asked for differ;
 * surplus fields that the mapping does not know are named, since nothing tells what they are.
 */
export const compareAsMapped = (mapping: Mapping, requested: Json, sent: Json): MappedComparison => {
  if (!isObject(requested) || !isObject(sent)) return { state: 'malformed' };
  let expected: Record<string, Json>;
  try {
    expected = applyMapping(mapping, requested);
  } catch (error) {
    if (error instanceof MappingError) return { state: 'malformed' };
    throw error;
  }
  const targets = new Set(Object.values(mapping.fields));
  const surplus = Object.keys(sent).filter((field) => !Object.hasOwn(expected, field) && !isBookkeeping(field));
  const differing = [
    ...Object.keys(expected).filter((field) => !Object.hasOwn(sent, field) || !sameJson(expected[field], sent[field])),
    ...surplus.filter((field) => targets.has(field)),
  ];
  if (differing.length > 0) return { state: 'differs', fields: differing };
  return surplus.length > 0 ? { state: 'surplus', fields: surplus } : { state: 'as-mapped' };
};
