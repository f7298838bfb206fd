/** The scalars of the schema. Messages name what is expected, and never repeat the value. */
import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from 'graphql';
import { correlationIdPattern, eventIdPattern, principalIdPattern, spanIdPattern } from '../schema/ids.ts';
import { actions } from '../schema/taxonomy.ts';

const badValue = (expected: string): GraphQLError =>
  new GraphQLError(`expected ${expected}`, { extensions: { code: 'BAD_INPUT' } });

const textOf = (value: unknown, expected: string): string => {
  if (typeof value !== 'string') throw badValue(expected);
  return value;
};

const literalText = (node: ValueNode, expected: string): string => {
  if (node.kind !== Kind.STRING) throw badValue(expected);
  return node.value;
};

/** A string that is checked on its way in. */
const checkedText = (name: string, expected: string, holds: (text: string) => boolean): GraphQLScalarType<string> => {
  const check = (text: string): string => {
    if (!holds(text)) throw badValue(expected);
    return text;
  };
  return new GraphQLScalarType<string>({
    name,
    serialize: String,
    parseValue: (value) => check(textOf(value, expected)),
    parseLiteral: (node) => check(literalText(node, expected)),
  });
};

const matching = (name: string, expected: string, pattern: RegExp) =>
  checkedText(name, expected, (text) => pattern.test(text));

const actionNames: ReadonlySet<string> = new Set(actions);

const dateExpected = 'an RFC 3339 time with an offset, such as 2026-11-03T09:30:00Z';
const datePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;
const parseDate = (text: string): Date => {
  const date = new Date(text);
  if (!datePattern.test(text) || Number.isNaN(date.getTime())) throw badValue(dateExpected);
  return date;
};

const dateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  serialize: (value) => (value instanceof Date ? value.toISOString() : String(value)),
  parseValue: (value) => parseDate(textOf(value, dateExpected)),
  parseLiteral: (node) => parseDate(literalText(node, dateExpected)),
});

const indexExpected = 'an integer from 0 to 2^53 - 1';
const parseIndex = (value: unknown): number => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw badValue(indexExpected);
  return value;
};

/** GraphQL's own Int ends at 2^31 - 1, which a log may outgrow. */
const logIndex = new GraphQLScalarType<number>({
  name: 'LogIndex',
  serialize: Number,
  parseValue: parseIndex,
  parseLiteral: (node) => {
    if (node.kind !== Kind.INT) throw badValue(indexExpected);
    return parseIndex(Number(node.value));
  },
});

const base64Expected = 'base64';
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const base64 = new GraphQLScalarType<string>({
  name: 'Base64',
  serialize: (value) => (value instanceof Uint8Array ? Buffer.from(value).toString('base64') : String(value)),
  parseValue: (value) => {
    const text = textOf(value, base64Expected);
    if (!base64Pattern.test(text)) throw badValue(base64Expected);
    return text;
  },
});

const jsonOf = (node: ValueNode, variables: Readonly<Record<string, unknown>> | null | undefined): unknown => {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.STRING:
    case Kind.ENUM:
    case Kind.BOOLEAN:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.LIST:
      return node.values.map((member) => jsonOf(member, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, jsonOf(value, variables)]));
    case Kind.VARIABLE:
      return variables?.[node.name.value] ?? null;
  }
  return node satisfies never;
};

const json = new GraphQLScalarType({
  name: 'JSON',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: jsonOf,
});

const objectExpected = 'a JSON object';
const objectOf = (value: unknown): object => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badValue(objectExpected);
  return value;
};

const jsonObject = new GraphQLScalarType({
  name: 'JSONObject',
  serialize: (value) => value,
  parseValue: objectOf,
  parseLiteral: (node, variables) => objectOf(jsonOf(node, variables)),
});

export const scalars = {
  DateTime: dateTime,
  JSON: json,
  JSONObject: jsonObject,
  EventId: matching('EventId', 'a UUIDv7 in lower case', eventIdPattern),
  RunId: matching('RunId', 'a UUIDv7 in lower case', eventIdPattern),
  CorrelationId: matching(
    'CorrelationId',
    'a W3C trace id: 32 lower-case hex digits, not all zero',
    correlationIdPattern,
  ),
  SpanId: matching('SpanId', 'a W3C span id: 16 lower-case hex digits, not all zero', spanIdPattern),
  PrincipalId: matching('PrincipalId', 'the name of a principal', principalIdPattern),
  Sha256: matching('Sha256', '64 lower-case hex digits', /^[0-9a-f]{64}$/),
  Base64: base64,
  LogIndex: logIndex,
  ActionName: checkedText('ActionName', 'an action of the taxonomy (docs/event-model.md)', (text) =>
    actionNames.has(text),
  ),
};
