/** The records of the stand-in's org, and the rules by which they may change. */
import { changedFields, type ChangeLog } from '../changeLog.ts';
import { asText, isRecord, type JsonRecord, type JsonValue } from '../standIn.ts';
import { fullId, recordId } from './ids.ts';
import { findField, findObject, refuseValue, type FieldRefusal, type ObjectDefinition } from './schema.ts';

export interface StoredRecord {
  readonly object: string;
  readonly values: JsonRecord;
}

export interface RecordRefusal extends FieldRefusal {
  readonly fields: readonly string[];
}

export type SaveResult =
  | { readonly saved: true; readonly id: string; readonly created: boolean }
  | { readonly saved: false; readonly refusals: readonly RecordRefusal[] };

const refused = (errorCode: string, message: string, fields: readonly string[] = []): SaveResult => ({
  saved: false,
  refusals: [{ errorCode, message, fields }],
});

/** Salesforce's own form of UTC date-times. */
const sfDatetime = (date: Date): string => date.toISOString().replace('Z', '+0000');

/** Kept by Salesforce itself; not what a reconciliation asks about. */
const bookkeeping = new Set(['CreatedDate', 'LastModifiedDate', 'LastModifiedById', 'SystemModstamp']);

const withoutBookkeeping = (values: JsonRecord): JsonRecord =>
  Object.fromEntries(Object.entries(values).filter(([name]) => !bookkeeping.has(name)));

export class Records {
  readonly #changes: ChangeLog;
  readonly #now: () => Date;
  #byId = new Map<string, StoredRecord>();
  #serial = 0;

  constructor(changes: ChangeLog, now: () => Date) {
    this.#changes = changes;
    this.#now = now;
  }

  find(object: string, id: string): JsonRecord | undefined {
    const key = fullId(id);
    const stored = key === undefined ? undefined : this.#byId.get(key);
    return stored?.object === object ? stored.values : undefined;
  }

  all(object: string): readonly JsonRecord[] {
    return [...this.#byId.values()].filter((r) => r.object === object).map((r) => r.values);
  }

  findBy(object: string, field: string, value: string): readonly JsonRecord[] {
    return this.all(object).filter((r) => asText(r[field]).toLowerCase() === value.toLowerCase());
  }

  /** Names in the org's own spelling, or why the values can't be stored. */
  #check(
    object: string,
    definition: ObjectDefinition,
    input: JsonRecord,
    id: string | undefined,
  ): { values: JsonRecord } | { refusals: RecordRefusal[] } {
    const values: JsonRecord = {};
    const refusals: RecordRefusal[] = [];
    for (const [given, value] of Object.entries(input)) {
      const field = findField(definition, given);
      if (field === undefined) {
        const message = `No such column '${given}' on sobject of type ${object}`;
        refusals.push({ errorCode: 'INVALID_FIELD', message, fields: [] });
      } else if (field.definition.readOnly) {
        const message = `Unable to create/update fields: ${field.name}. Please check the security settings of this field`;
        refusals.push({ errorCode: 'INVALID_FIELD_FOR_INSERT_UPDATE', message, fields: [field.name] });
      } else {
        const refusal = refuseValue(field.name, field.definition, value);
        if (refusal !== undefined) refusals.push({ ...refusal, fields: [field.name] });
        // Salesforce stores no empty text.
        values[field.name] = value === '' ? null : value;
        const others =
          field.definition.externalId && typeof value === 'string' ? this.findBy(object, field.name, value) : [];
        if (others.some((other) => other['Id'] !== id)) {
          const message = `duplicate value found: ${field.name} duplicates value on record with id: ${asText(others[0]!['Id'])}`;
          refusals.push({ errorCode: 'DUPLICATE_VALUE', message, fields: [field.name] });
        }
      }
    }
    return refusals.length > 0 ? { refusals } : { values };
  }

  #stamp(object: string, values: JsonRecord, by: string): JsonRecord {
    const at = sfDatetime(this.#now());
    const name: JsonRecord =
      object === 'Contact' ? { Name: `${asText(values['FirstName'])} ${asText(values['LastName'])}`.trim() } : {};
    return { ...values, ...name, LastModifiedDate: at, LastModifiedById: by, SystemModstamp: at };
  }

  create(objectName: string, input: JsonRecord, by: string): SaveResult {
    const object = findObject(objectName)!;
    const checked = this.#check(object.name, object.definition, input, undefined);
    if ('refusals' in checked) return { saved: false, refusals: checked.refusals };
    const missing = Object.entries(object.definition.fields)
      .filter(([name, field]) => field.required && (checked.values[name] ?? null) === null)
      .map(([name]) => name);
    if (missing.length > 0) {
      return refused('REQUIRED_FIELD_MISSING', `Required fields are missing: [${missing.join(', ')}]`, missing);
    }
    this.#serial += 1;
    const id = recordId(object.definition.keyPrefix, this.#serial);
    const empty = Object.fromEntries(
      Object.entries(object.definition.fields).map(([name, f]) => [name, f.type === 'boolean' ? false : null]),
    );
    const values = this.#stamp(object.name, { ...empty, OwnerId: by, ...checked.values, Id: id }, by);
    values['CreatedDate'] = values['LastModifiedDate']!;
    this.#byId.set(id, { object: object.name, values });
    this.#changes.record({
      by,
      operation: 'create',
      kind: object.name,
      id,
      fields: changedFields({}, withoutBookkeeping(values)),
    });
    return { saved: true, id, created: true };
  }

  /** Why an update would be refused; undefined where it would not. */
  refuseUpdate(objectName: string, id: string, input: JsonRecord): SaveResult | undefined {
    const object = findObject(objectName)!;
    const key = fullId(id);
    if (key === undefined) return refused('MALFORMED_ID', `Id: id value of incorrect type: ${id}`, ['Id']);
    if (this.find(object.name, key) === undefined) {
      return refused('ENTITY_IS_DELETED', 'entity is deleted', []);
    }
    const checked = this.#check(object.name, object.definition, input, key);
    return 'refusals' in checked ? { saved: false, refusals: checked.refusals } : undefined;
  }

  update(objectName: string, id: string, input: JsonRecord, by: string): SaveResult {
    const refusal = this.refuseUpdate(objectName, id, input);
    if (refusal !== undefined) return refusal;
    const object = findObject(objectName)!;
    const key = fullId(id)!;
    const before = this.#byId.get(key)!.values;
    const checked = this.#check(object.name, object.definition, input, key) as { values: JsonRecord };
    const values = this.#stamp(object.name, { ...before, ...checked.values }, by);
    this.#byId.set(key, { object: object.name, values });
    const fields = changedFields(withoutBookkeeping(before), withoutBookkeeping(values));
    this.#changes.record({ by, operation: 'update', kind: object.name, id: key, fields });
    return { saved: true, id: key, created: false };
  }

  delete(objectName: string, id: string, by: string): boolean {
    const object = findObject(objectName)!;
    const before = this.find(object.name, id);
    if (before === undefined) return false;
    const key = before['Id'] as string;
    this.#byId.delete(key);
    this.#changes.record({
      by,
      operation: 'delete',
      kind: object.name,
      id: key,
      fields: changedFields(withoutBookkeeping(before), {}),
    });
    return true;
  }

  snapshot(): JsonRecord {
    return { serial: this.#serial, records: [...this.#byId.values()] as unknown as JsonValue };
  }

  restore(snapshot: JsonRecord): void {
    const records = Array.isArray(snapshot['records']) ? snapshot['records'] : [];
    this.#serial = Number(snapshot['serial'] ?? 0);
    this.#byId = new Map(
      records.filter(isRecord).map((r) => {
        const values = r['values'] as JsonRecord;
        return [values['Id'] as string, { object: r['object'] as string, values }];
      }),
    );
  }
}
