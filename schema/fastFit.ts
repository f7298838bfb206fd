/**
 * A schema of the event model as one plain test: whether a value fits just as it is. For where every event or entry passes
 * (the doors, verification): the schema itself takes eight times as long, since it makes a copy and notes issues.
 *
 * `true` means that the schema accepts the value and would give back an equal one. `false` means nothing: what is not
 * understood here, or would be changed, is left to the schema, which alone says what is wrong with a value.
 */
import type { z } from 'zod';

export type Fits = (value: unknown) => boolean;

type CheckDef = z.core.$ZodCheckDef;
type Schema = z.core.$ZodType;

/** The kinds of schemas and checks that are understood; all others are left to the schema. */
type Understood = Extract<
  z.core.$ZodTypes['_zod']['def'],
  {
    type:
      | 'string'
      | 'number'
      | 'boolean'
      | 'null'
      | 'literal'
      | 'enum'
      | 'optional'
      | 'union'
      | 'array'
      | 'record'
      | 'lazy'
      | 'object';
  }
>;
const understood: ReadonlySet<string> = new Set<Understood['type']>([
  'string',
  'number',
  'boolean',
  'null',
  'literal',
  'enum',
  'optional',
  'union',
  'array',
  'record',
  'lazy',
  'object',
]);
type UnderstoodCheck = Extract<
  z.core.$ZodChecks['_zod']['def'],
  { check: 'string_format' | 'number_format' | 'greater_than' | 'less_than' | 'min_length' | 'max_length' }
>;
const understoodChecks: ReadonlySet<string> = new Set<UnderstoodCheck['check']>([
  'string_format',
  'number_format',
  'greater_than',
  'less_than',
  'min_length',
  'max_length',
]);

export interface FitOptions {
  /**
   * Objects within the value must have their fields in the schema's order, in which the schema would give them back. For
   * values that are serialised as they came.
   */
  readonly ordered: boolean;
}

/** Levels of JSON content below which nothing is followed any further: the test calls itself once a level. */
const depthMax = 64;

const leaveToSchema: Fits = () => false;

/** `schema` is read once; its patterns must not be changed afterwards. */
export const compileFit = (schema: Schema, options: FitOptions): Fits => new Compiler(options).compile(schema, false);

class Compiler {
  readonly #options: FitOptions;
  /** A lazy schema stands within itself: it is compiled once, when a value first needs it. */
  readonly #lazy = new Map<Schema, Fits>();
  #depth = 0;

  constructor(options: FitOptions) {
    this.#options = options;
  }

  compile(schema: Schema, nested = true): Fits {
    const def = schema._zod.def;
    const type = this.#ofType(schema, nested);
    // A format such as a date and time is a type and its own check.
    const own = 'check' in def ? [def as unknown as CheckDef] : [];
    const checks = [...own, ...(def.checks ?? []).map((check) => check._zod.def)].map(ofCheck);
    const [first, second, ...more] = checks;
    if (!first) return type;
    if (!second) return (value) => type(value) && first(value);
    if (more.length === 0) return (value) => type(value) && first(value) && second(value);
    return (value) => type(value) && checks.every((check) => check(value));
  }

  #ofType(schema: Schema, nested: boolean): Fits {
    if (!understood.has(schema._zod.def.type)) return leaveToSchema;
    const def = schema._zod.def as Understood;
    switch (def.type) {
      case 'string':
        return def.coerce ? leaveToSchema : (value) => typeof value === 'string';
      case 'number':
        return def.coerce ? leaveToSchema : Number.isFinite;
      case 'boolean':
        return def.coerce ? leaveToSchema : (value) => typeof value === 'boolean';
      case 'null':
        return (value) => value === null;
      case 'literal': {
        const values: ReadonlySet<unknown> = new Set(def.values);
        return (value) => values.has(value);
      }
      case 'enum': {
        const values: ReadonlySet<unknown> = new Set(Object.values(def.entries));
        return (value) => values.has(value);
      }
      case 'optional': {
        const inner = this.compile(def.innerType);
        return (value) => value === undefined || inner(value);
      }
      case 'union': {
        const options = def.options.map((option) => this.compile(option));
        return (value) => options.some((option) => option(value));
      }
      case 'array':
        return ofArray(this.compile(def.element));
      case 'record':
        return this.#ofRecord(def);
      case 'lazy':
        return this.#ofLazy(schema, def);
      case 'object':
        return this.#ofObject(def, nested);
    }
    return def satisfies never;
  }

  #ofObject(def: z.core.$ZodObjectDef, nested: boolean): Fits {
    if (def.catchall?._zod.def.type !== 'never') return leaveToSchema;
    const ordered = nested && this.#options.ordered;
    let required = 0;
    const fields = new Map(
      Object.entries(def.shape).map(([name, field], place) => {
        const optional = field._zod.def.type === 'optional';
        if (!optional) required += 1;
        return [name, { fits: this.compile(field), place, optional }];
      }),
    );
    return (value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
      let found = 0;
      let last = -1;
      for (const name in value) {
        const field = fields.get(name);
        if (field === undefined || !field.fits((value as Record<string, unknown>)[name])) return false;
        if (!field.optional) found += 1;
        if (ordered && field.place < last) return false;
        last = field.place;
      }
      return found === required;
    };
  }

  #ofRecord(def: z.core.$ZodRecordDef): Fits {
    if (def.keyType._zod.def.type !== 'string') return leaveToSchema;
    const key = this.compile(def.keyType);
    const inner = this.compile(def.valueType);
    return (value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
      for (const name in value) {
        // The schema leaves out what could reach a prototype.
        if (name === '__proto__' || !key(name) || !inner((value as Record<string, unknown>)[name])) return false;
      }
      return true;
    };
  }

  #ofLazy(schema: Schema, def: z.core.$ZodLazyDef): Fits {
    return (value) => {
      if (this.#depth >= depthMax) return false;
      let inner = this.#lazy.get(schema);
      if (!inner) this.#lazy.set(schema, (inner = this.compile(def.getter())));
      this.#depth += 1;
      const fits = inner(value);
      this.#depth -= 1;
      return fits;
    };
  }
}

const ofArray = (element: Fits): Fits => {
  return (value) => {
    if (!Array.isArray(value)) return false;
    for (const member of value) if (!element(member)) return false;
    return true;
  };
};

/** Of a value that is of the right type. */
const ofCheck = (given: CheckDef): Fits => {
  if (!understoodChecks.has(given.check)) return leaveToSchema;
  const def = given as UnderstoodCheck;
  switch (def.check) {
    case 'string_format': {
      const { pattern } = def;
      // A pattern with a memory of its last match is no plain test.
      if (!pattern || pattern.global || pattern.sticky) return leaveToSchema;
      return def.format === 'regex' || def.format === 'datetime'
        ? (value) => pattern.test(value as string)
        : leaveToSchema;
    }
    case 'number_format':
      return def.format === 'safeint' ? Number.isSafeInteger : leaveToSchema;
    case 'greater_than': {
      const least = def.value as number;
      return def.inclusive ? (value) => (value as number) >= least : (value) => (value as number) > least;
    }
    case 'less_than': {
      const most = def.value as number;
      return def.inclusive ? (value) => (value as number) <= most : (value) => (value as number) < most;
    }
    case 'min_length':
      return (value) => (value as string).length >= def.minimum;
    case 'max_length':
      return (value) => (value as string).length <= def.maximum;
  }
  return def satisfies never;
};
