/** Builds a call of a root field from the schema alone, and tells which arguments there are. */
import {
  getNamedType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql';

export interface RootField {
  /** `Query.event` */
  readonly name: string;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly field: GraphQLField<unknown, unknown>;
}

export const rootFields = (schema: GraphQLSchema): RootField[] =>
  (
    [
      ['query', schema.getQueryType()],
      ['mutation', schema.getMutationType()],
      ['subscription', schema.getSubscriptionType()],
    ] as const
  ).flatMap(([kind, type]) =>
    Object.values(type!.getFields()).map((field) => ({ name: `${type!.name}.${field.name}`, kind, field })),
  );

/** `id`, `input.runId`, `filter.correlationId`, `input.members.principal`: every leaf that a caller can set. */
export const argumentPaths = ({ field }: RootField): string[] =>
  field.args.flatMap(({ name, type }) => pathsOf(name, type));

const pathsOf = (path: string, type: GraphQLInputType): string[] => {
  const named = getNamedType(type);
  if (!isInputObjectType(named)) return [path];
  return Object.values(named.getFields()).flatMap((field) => pathsOf(`${path}.${field.name}`, field.type));
};

/** Those without which there is no call. */
export const requiredPaths = ({ field }: RootField): string[] =>
  field.args.flatMap(({ name, type }) => (isNonNullType(type) ? requiredBelow(name, type) : []));

const requiredBelow = (path: string, type: GraphQLInputType): string[] => {
  const named = getNamedType(type);
  if (!isInputObjectType(named)) return [path];
  return Object.values(named.getFields()).flatMap((field) =>
    isNonNullType(field.type) && field.defaultValue === undefined
      ? requiredBelow(`${path}.${field.name}`, field.type)
      : [],
  );
};

/** Whether the value at a path stands in a list, so that variables can be made from paths. */
export const isListAt = ({ field }: RootField, path: string): boolean => {
  const [first, ...rest] = path.split('.');
  let type = field.args.find(({ name }) => name === first)!.type;
  for (const name of rest)
    type = (getNamedType(type) as unknown as { getFields(): Record<string, { type: GraphQLInputType }> }).getFields()[
      name
    ]!.type;
  return isListType(isNonNullType(type) ? type.ofType : type);
};

/** Scalars of the answer, two objects deep: enough for whatever leaks to be seen. */
const selectionOf = (type: GraphQLOutputType, depth = 0): string => {
  const named = getNamedType(type);
  if (isLeafType(named) || !isObjectType(named)) return '';
  const fields = Object.values(named.getFields()).flatMap((field) => {
    if (field.args.some((argument) => isNonNullType(argument.type))) return [];
    if (isLeafType(getNamedType(field.type))) return [field.name];
    return depth < 3 ? [`${field.name}${selectionOf(field.type, depth + 1)}`] : [];
  });
  return fields.length === 0 ? ' { __typename }' : ` { ${fields.join(' ')} }`;
};

export const documentOf = ({ kind, field }: RootField): string => {
  const variables = field.args.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ');
  const passed = field.args.map(({ name }) => `${name}: $${name}`).join(', ');
  return `${kind} Crossing${variables && `(${variables})`} { ${field.name}${passed && `(${passed})`}${selectionOf(field.type)} }`;
};

/** Variables with these values at these paths; where a path goes through a list, the list has one member. */
export const variablesOf = (root: RootField, values: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const variables: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(values)) {
    const names = path.split('.');
    let place: Record<string, unknown> = variables;
    for (const [depth, name] of names.entries()) {
      if (depth === names.length - 1) place[name] = value;
      else {
        const list = isListAt(root, names.slice(0, depth + 1).join('.'));
        const known = place[name] as Record<string, unknown> | Record<string, unknown>[] | undefined;
        const next = (Array.isArray(known) ? known[0] : known) ?? {};
        place[name] = list ? [next] : next;
        place = next;
      }
    }
  }
  return variables;
};
