/** How Salesforce words its answers: records, save results and refusals. */
import { asText, Refusal, type JsonRecord, type JsonValue } from '../standIn.ts';
import type { SaveResult } from './records.ts';
import { findField, findObject, type ObjectDefinition } from './schema.ts';

export const apiVersion = 'v62.0';
export const root = `/services/data/${apiVersion}`;
/** errorcodes.htm: an array of `{message, errorCode}`. */
export const errorAnswer = (status: number, errorCode: string, message: string, fields: readonly string[] = []) => ({
  status,
  body: [{ message, errorCode, ...(fields.length === 0 ? {} : { fields: [...fields] }) }] as JsonValue,
});
export const refuse = (...args: Parameters<typeof errorAnswer>): Refusal => new Refusal(errorAnswer(...args));

/** What a single-record call answers to a refused save. */
export function refusalOf(result: Extract<SaveResult, { saved: false }>): Refusal {
  const [first] = result.refusals;
  const status = first!.errorCode === 'ENTITY_IS_DELETED' ? 404 : 400;
  return new Refusal({
    status,
    body: result.refusals.map((r) => ({ message: r.message, errorCode: r.errorCode, fields: [...r.fields] })),
  });
}

export const saveResult = (result: SaveResult): JsonValue =>
  result.saved
    ? { id: result.id, success: true, errors: [] }
    : {
        success: false,
        errors: result.refusals.map((r) => ({ statusCode: r.errorCode, message: r.message, fields: [...r.fields] })),
      };

export function objectNamed(name: string): { name: string; definition: ObjectDefinition } {
  const object = findObject(name);
  if (object === undefined) throw refuse(404, 'NOT_FOUND', 'The requested resource does not exist');
  return object;
}

export function fieldNamed(object: { name: string; definition: ObjectDefinition }, name: string): string {
  const field = findField(object.definition, name.trim());
  if (field === undefined) {
    throw refuse(400, 'INVALID_FIELD', `No such column '${name}' on sobject of type ${object.name}`);
  }
  return field.name;
}

export const shown = (object: string, values: JsonRecord, fields: readonly string[]): JsonRecord => ({
  attributes: { type: object, url: `${root}/sobjects/${object}/${asText(values['Id'])}` },
  ...Object.fromEntries(fields.map((field) => [field, values[field] ?? null])),
});
