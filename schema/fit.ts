/**
 * Says in words where something does not fit its schema, and what would. A caller's values are never in them; names of
 * unknown fields are, since who misspelt one has to see it.
 */
import type { z } from 'zod';
import { correlationIdPattern, eventIdPattern, principalIdPattern, spanIdPattern, subjectIdPattern } from './ids.ts';

type Issue = z.core.$ZodIssue;
type IssueOf<C extends Issue['code']> = Extract<Issue, { readonly code: C }>;

/** Characters of a field's name that are repeated. */
const nameCharactersMax = 64;
const namesMax = 5;

/** One phrase for each thing that is wrong, such as `system must be one of salesforce, slack`. `input`: what was parsed. */
export const misfits = ({ issues }: { readonly issues: readonly Issue[] }, input: unknown): string[] =>
  issues.flatMap((issue) => phrases(issue, [], input));

const phrases = (issue: Issue, above: readonly PropertyKey[], input: unknown): string[] => {
  const path = [...above, ...issue.path];
  if (issue.code === 'invalid_union') {
    const nearest = nearestForm(issue);
    if (nearest) return nearest.flatMap((inner) => phrases(inner, path, input));
  }
  const at = path.length === 0 ? 'it' : path.map(shortened).join('.');
  const value = valueAt(input, path);
  if (issue.code === 'unrecognized_keys') return [unknownFields(issue, path)];
  return [value === undefined ? missing(issue, at) : `${at} ${wanted(issue, value)}`];
};

const missing = (issue: Issue, at: string): string =>
  `${at} is missing${issue.code === 'invalid_value' ? `: it ${wanted(issue, undefined)}` : ''}`;

const unknownFields = ({ keys }: IssueOf<'unrecognized_keys'>, path: readonly PropertyKey[]): string => {
  const names = keys.slice(0, namesMax).map((key) => JSON.stringify(shortened(key)));
  const more = keys.length > namesMax ? ` and ${keys.length - namesMax} more` : '';
  const where = path.length === 0 ? '' : ` in ${path.map(shortened).join('.')}`;
  return `${names.join(', ')}${more}${where}: there is no such field`;
};

/** What has to be so, beginning with a verb. */
const wanted = (issue: Issue, value: unknown): string => {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${typeNames[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return formatWanted(issue, value);
    case 'too_big':
      return `must ${size(issue.origin, 'at most', issue.maximum)}`;
    case 'too_small':
      return `must ${size(issue.origin, 'at least', issue.minimum)}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_key':
      return 'is a name that is not allowed here';
    case 'custom':
      // Written by the schema's author, and the same for all values.
      return `does not fit: ${issue.message}`;
    case 'invalid_union':
    case 'invalid_element':
    case 'unrecognized_keys':
    default:
      return 'is none of the forms that are allowed here';
  }
};

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

const size = (origin: string, bound: 'at most' | 'at least', limit: number | bigint): string => {
  if (origin === 'string') return `have ${bound} ${limit} characters`;
  if (origin === 'array' || origin === 'set') return `have ${bound} ${limit} elements`;
  return `be ${bound} ${limit}`;
};

const patternNames: ReadonlyMap<string, string> = new Map([
  [String(eventIdPattern), 'a UUIDv7 in lower case'],
  [String(correlationIdPattern), '32 lower-case hexadecimal digits, not all zero'],
  [String(spanIdPattern), '16 lower-case hexadecimal digits, not all zero'],
  [String(principalIdPattern), 'a principal: a letter or digit, then up to 127 letters, digits, or any of . _ : -'],
  [String(subjectIdPattern), '"sub_" and 32 lower-case hexadecimal digits'],
]);

const offset = /(?:Z|[+-]\d\d:\d\d)$/;

const formatWanted = (issue: IssueOf<'invalid_format'>, value: unknown): string => {
  if (issue.format === 'datetime') {
    const lacks = typeof value === 'string' && !offset.test(value) ? '; this one has no offset' : '';
    return `must be a time with an offset, such as 2026-01-31T09:30:00.000Z or 2026-01-31T10:30:00+01:00${lacks}`;
  }
  const pattern = 'pattern' in issue && typeof issue.pattern === 'string' ? issue.pattern : undefined;
  // Zod's own words for it name the pattern alone; ours say more.
  if (!issue.message.startsWith('Invalid')) return `does not fit: ${issue.message}`;
  if (issue.format !== 'regex' || pattern === undefined) return `must be of the form ${issue.format}`;
  return `must be ${patternNames.get(pattern) ?? `of the form ${pattern}`}`;
};

/** The form that the value comes nearest to: of the right type first, then with the fewest issues. */
const nearestForm = (issue: IssueOf<'invalid_union'>): readonly Issue[] | undefined => {
  const distance = (issues: readonly Issue[]) =>
    issues.length + (issues.some(({ code, path }) => code === 'invalid_type' && path.length === 0) ? 1000 : 0);
  return issue.errors.toSorted((a, b) => distance(a) - distance(b))[0];
};

const shortened = (name: PropertyKey): string => {
  const characters = Array.from(String(name));
  return characters.length > nameCharactersMax ? `${characters.slice(0, nameCharactersMax).join('')}…` : String(name);
};

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown => {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.hasOwn(value, key) ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  }
  return value;
};
