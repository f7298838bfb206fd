/**
 * Field mappings: which vendor field an agent's logical field goes to. A stale mapping is the classic way in which a
 * correct agent writes wrong data, so a mapping has a version, is published as a control event, and every write names
 * the one that it used. Pure.
 */
export interface Mapping {
  readonly name: string;
  readonly version: string;
  /** The vendor's field for each logical one. */
  readonly fields: Readonly<Record<string, string>>;
}

/** `UNKNOWN_FIELD`: the mapping has no such logical field. `FIELD_COLLISION`: two logical fields go to the same one. */
export type MappingErrorCode = 'UNKNOWN_FIELD' | 'FIELD_COLLISION';

/** Thrown where a mapping can't be applied. `fields` are logical names, never values. */
export class MappingError extends Error {
  override readonly name = 'MappingError';
  readonly code: MappingErrorCode;
  readonly fields: readonly string[];

  constructor(code: MappingErrorCode, mapping: Mapping, fields: readonly string[]) {
    const problem = code === 'UNKNOWN_FIELD' ? 'has no field' : 'sends to one and the same vendor field';
    super(`mapping ${mapping.name}@${mapping.version} ${problem}: ${fields.join(', ')}`);
    this.code = code;
    this.fields = fields;
  }
}

/** The vendor's field for a logical one; undefined where the mapping has none. */
export function mappedField(mapping: Mapping, logical: string): string | undefined {
  return Object.hasOwn(mapping.fields, logical) ? mapping.fields[logical] : undefined;
}

/** Logical fields to vendor fields, in the order given. Throws MappingError. */
export function applyMapping<V>(mapping: Mapping, logical: Readonly<Record<string, V>>): Record<string, V> {
  const names = Object.keys(logical);
  const unknown = names.filter((name) => mappedField(mapping, name) === undefined);
  if (unknown.length > 0) throw new MappingError('UNKNOWN_FIELD', mapping, unknown);
  const result: Record<string, V> = {};
  const takenBy = new Map<string, string>();
  for (const name of names) {
    const field = mapping.fields[name]!;
    const other = takenBy.get(field);
    if (other !== undefined) throw new MappingError('FIELD_COLLISION', mapping, [other, name]);
    takenBy.set(field, name);
    Object.defineProperty(result, field, {
      value: logical[name],
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return result;
}

/** One logical field that two mappings treat differently. `null`: that mapping has no such field. */
export interface MappingDifference {
  readonly logical: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** The logical fields that go elsewhere, of those given, or of all; sorted by name. */
export function compareMappings(
  before: Mapping,
  after: Mapping,
  logicalFields: readonly string[] = [...Object.keys(before.fields), ...Object.keys(after.fields)],
): readonly MappingDifference[] {
  return [...new Set(logicalFields)]
    .toSorted()
    .map((logical) => ({
      logical,
      before: mappedField(before, logical) ?? null,
      after: mappedField(after, logical) ?? null,
    }))
    .filter((difference) => difference.before !== difference.after);
}
