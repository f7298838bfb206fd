/**
 * The objects of the stand-in's org: a part of the standard ones and the custom fields that docs/connectors.md asks an
 * administrator to create. Types and refusals as in
 * https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/field_types.htm
 */
import type { JsonValue } from '../standIn.ts';
import { fullId } from './ids.ts';

export type FieldType =
  | 'id'
  | 'reference'
  | 'string'
  | 'textarea'
  | 'phone'
  | 'email'
  | 'url'
  | 'picklist'
  | 'boolean'
  | 'double'
  | 'date'
  | 'datetime';

export interface FieldDefinition {
  readonly type: FieldType;
  readonly length?: number;
  readonly required?: true;
  /** Set by Salesforce, never by a caller. */
  readonly readOnly?: true;
  readonly externalId?: true;
}

export interface ObjectDefinition {
  readonly keyPrefix: string;
  readonly fields: Readonly<Record<string, FieldDefinition>>;
}

const system = {
  Id: { type: 'id', readOnly: true },
  OwnerId: { type: 'reference' },
  CreatedDate: { type: 'datetime', readOnly: true },
  LastModifiedDate: { type: 'datetime', readOnly: true },
  LastModifiedById: { type: 'reference', readOnly: true },
  SystemModstamp: { type: 'datetime', readOnly: true },
  Trailkeeper_Correlation_Id__c: { type: 'string', length: 32 },
  Trailkeeper_Last_Action_Id__c: { type: 'string', length: 36 },
  Trailkeeper_Action_Id__c: { type: 'string', length: 36, externalId: true },
} as const satisfies Record<string, FieldDefinition>;

export const objects: Readonly<Record<string, ObjectDefinition>> = {
  Contact: {
    keyPrefix: '003',
    fields: {
      ...system,
      AccountId: { type: 'reference' },
      FirstName: { type: 'string', length: 40 },
      LastName: { type: 'string', length: 80, required: true },
      Name: { type: 'string', length: 121, readOnly: true },
      Title: { type: 'string', length: 128 },
      Department: { type: 'string', length: 80 },
      Email: { type: 'email', length: 80 },
      Phone: { type: 'phone', length: 40 },
      MobilePhone: { type: 'phone', length: 40 },
      HomePhone: { type: 'phone', length: 40 },
      AssistantPhone: { type: 'phone', length: 40 },
      MailingStreet: { type: 'textarea', length: 255 },
      MailingCity: { type: 'string', length: 40 },
      MailingCountry: { type: 'string', length: 80 },
      Description: { type: 'textarea', length: 32_000 },
      LeadSource: { type: 'picklist', length: 255 },
      HasOptedOutOfEmail: { type: 'boolean' },
      Region__c: { type: 'string', length: 80 },
      Territory__c: { type: 'string', length: 80 },
      Health_Score__c: { type: 'double' },
    },
  },
  Account: {
    keyPrefix: '001',
    fields: {
      ...system,
      Name: { type: 'string', length: 255, required: true },
      Industry: { type: 'picklist', length: 255 },
      Phone: { type: 'phone', length: 40 },
      Website: { type: 'url', length: 255 },
      BillingCity: { type: 'string', length: 40 },
      Description: { type: 'textarea', length: 32_000 },
      Region__c: { type: 'string', length: 80 },
    },
  },
  Opportunity: {
    keyPrefix: '006',
    fields: {
      ...system,
      AccountId: { type: 'reference' },
      Name: { type: 'string', length: 120, required: true },
      StageName: { type: 'picklist', length: 255, required: true },
      CloseDate: { type: 'date', required: true },
      Amount: { type: 'double' },
      Description: { type: 'textarea', length: 32_000 },
    },
  },
};

/** Salesforce finds objects and fields whatever their case. */
export function findObject(name: string): { name: string; definition: ObjectDefinition } | undefined {
  const found = Object.entries(objects).find(([key]) => key.toLowerCase() === name.toLowerCase());
  return found && { name: found[0], definition: found[1] };
}

export function findField(
  object: ObjectDefinition,
  name: string,
): { name: string; definition: FieldDefinition } | undefined {
  const found = Object.entries(object.fields).find(([key]) => key.toLowerCase() === name.toLowerCase());
  return found && { name: found[0], definition: found[1] };
}

/** https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm */
export interface FieldRefusal {
  readonly errorCode: string;
  readonly message: string;
}

type TypeCheck = (name: string, field: FieldDefinition, value: JsonValue) => FieldRefusal | undefined;

const wrongTypeOf = (field: FieldDefinition): FieldRefusal => ({
  errorCode: 'JSON_PARSER_ERROR',
  message: `Cannot deserialize instance of ${field.type}`,
});

/** Why a value can't be stored in a field; undefined where it can. */
export function refuseValue(name: string, field: FieldDefinition, value: JsonValue): FieldRefusal | undefined {
  if (value === null) {
    if (field.type === 'boolean') return { errorCode: 'INVALID_TYPE_ON_FIELD_IN_RECORD', message: `${name}: null` };
    return field.required
      ? { errorCode: 'REQUIRED_FIELD_MISSING', message: `Required fields are missing: [${name}]` }
      : undefined;
  }
  return typeChecks[field.type](name, field, value);
}

const only =
  (fits: (value: JsonValue) => boolean): TypeCheck =>
  (_name, field, value) =>
    fits(value) ? undefined : wrongTypeOf(field);

const idCheck: TypeCheck = (name, _field, value) =>
  typeof value === 'string' && fullId(value) !== undefined
    ? undefined
    : { errorCode: 'MALFORMED_ID', message: `${name}: id value of incorrect type` };

const typeChecks: Readonly<Record<FieldType, TypeCheck>> = {
  boolean: only((value) => typeof value === 'boolean'),
  double: only((value) => typeof value === 'number'),
  date: only((value) => typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value)),
  datetime: only((value) => typeof value === 'string' && !Number.isNaN(Date.parse(value))),
  id: idCheck,
  reference: idCheck,
  string: refuseText,
  textarea: refuseText,
  phone: refuseText,
  email: refuseText,
  url: refuseText,
  picklist: refuseText,
};

function refuseText(name: string, field: FieldDefinition, value: JsonValue): FieldRefusal | undefined {
  if (typeof value !== 'string') return wrongTypeOf(field);
  if (value.length > (field.length ?? 255)) {
    return { errorCode: 'STRING_TOO_LONG', message: `${name}: data value too large (max length=${field.length})` };
  }
  if (field.type === 'email' && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(value)) {
    return { errorCode: 'INVALID_EMAIL_ADDRESS', message: `${name}: invalid email address` };
  }
  return undefined;
}
