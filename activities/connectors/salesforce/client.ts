/**
 * Calls to the Salesforce REST API. The credential is an OAuth access token; obtaining and renewing it is not the
 * connector's business. Errors: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
 */
import { z } from 'zod';
import type { ErrorCode } from '../../../schema/taxonomy.ts';
import {
  ConnectorError,
  type CallContext,
  type ItemResult,
  type Json,
  type JsonObject,
  type Target,
} from '../connector.ts';
import { readJson, send, type VendorAnswer, type VendorRequest } from '../transport/request.ts';
import { recordIdPattern, toFullId } from '../../../domain/salesforceId.ts';

export const apiVersion = 'v62.0';
export const apiRoot = `/services/data/${apiVersion}`;

export const credential = z.strictObject({ accessToken: z.string().min(1).max(4096) });

/** Custom text fields that an administrator creates on each object that agents may write (docs/connectors.md). */
export const marks = {
  /** Correlation id of the run that wrote last. */
  correlation: 'Trailkeeper_Correlation_Id__c',
  /** Id of the action that wrote last: by it a call of unknown result is found again. */
  lastAction: 'Trailkeeper_Last_Action_Id__c',
  /** Id of the action that created the record: unique external id, and so the idempotency key. */
  creatingAction: 'Trailkeeper_Action_Id__c',
} as const;

/** What every write carries besides its own fields. */
export const marksOf = (ctx: CallContext): JsonObject => ({
  [marks.correlation]: ctx.correlationId,
  [marks.lastAction]: ctx.actionId,
});

export const markFields: readonly string[] = [marks.correlation, marks.lastAction];

/** API name of an object or a field. */
export const apiName = z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,79}$/);
export const recordId = z.string().regex(recordIdPattern);
/** What a field can be set to. */
export const fieldValue = z.union([z.string().max(131_072), z.number(), z.boolean(), z.null()]);

const reserved = ['id', marks.correlation, marks.lastAction, marks.creatingAction].map((name) => name.toLowerCase());
export const isReserved = (field: string): boolean => reserved.includes(field.toLowerCase());

/** Vendor fields of a write: never the id, never our marks. */
export const writableFields = z
  .record(apiName, fieldValue)
  .refine((fields) => Object.keys(fields).length > 0, 'at least one field')
  .refine((fields) => !Object.keys(fields).some(isReserved), 'Id and the Trailkeeper fields are not to be set');

/** Objects that are about one person. */
const people = new Set(['contact', 'lead', 'user']);

export function target(object: string, id: string): Target {
  const full = toFullId(id);
  return {
    kind: object,
    id: full,
    ...(people.has(object.toLowerCase()) ? { subject: { system: 'salesforce', kind: object, id: full } } : {}),
  };
}

const codes: Readonly<Record<string, ErrorCode>> = {
  INVALID_SESSION_ID: 'UNAUTHENTICATED',
  REQUEST_LIMIT_EXCEEDED: 'RATE_LIMITED',
  INSUFFICIENT_ACCESS_OR_READONLY: 'FORBIDDEN',
  INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY: 'FORBIDDEN',
  ENTITY_IS_DELETED: 'NOT_FOUND',
  NOT_FOUND: 'NOT_FOUND',
  INVALID_CROSS_REFERENCE_KEY: 'NOT_FOUND',
  DUPLICATE_VALUE: 'CONFLICT',
  DUPLICATES_DETECTED: 'CONFLICT',
  ENTITY_IS_LOCKED: 'CONFLICT',
  UNABLE_TO_LOCK_ROW: 'CONFLICT',
};

const errorList = z.array(z.looseObject({ errorCode: z.string() })).min(1);

/** Salesforce says more in `errorCode` than in the status: a used-up request limit is a 403. */
function readRefusal(answer: VendorAnswer): { code?: ErrorCode } | undefined {
  if (answer.status >= 500) return undefined;
  try {
    const [first] = errorList.parse(JSON.parse(answer.text));
    const code = codes[first!.errorCode];
    return code === undefined ? undefined : { code };
  } catch {
    return undefined;
  }
}

export async function call(
  ctx: CallContext,
  request: Pick<VendorRequest, 'method' | 'path' | 'effect'> & { readonly json?: Json },
): Promise<VendorAnswer> {
  const { accessToken } = credential.parse(ctx.credential);
  return send(
    ctx,
    {
      method: request.method,
      path: apiRoot + request.path,
      effect: request.effect,
      headers: {
        authorization: `Bearer ${accessToken}`,
        ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
    },
    readRefusal,
  );
}

const saveResult = z.looseObject({
  id: z.string().optional(),
  success: z.boolean(),
  errors: z.array(z.looseObject({ statusCode: z.string(), message: z.string() })),
});

/** Results of a collection call, one an object in the order sent. */
export function readSaveResults(answer: VendorAnswer, count: number): z.infer<typeof saveResult>[] {
  return readJson(answer, z.array(saveResult).length(count), 'write');
}

/** The failure of one object in a collection. */
export function itemFailure(errors: z.infer<typeof saveResult>['errors']): NonNullable<ItemResult['error']> {
  const [first] = errors;
  return {
    code: codes[first?.statusCode ?? ''] ?? 'INVALID_REQUEST',
    detail: errors
      .map((e) => `${e.statusCode}: ${e.message}`)
      .join('\n')
      .slice(0, 2000),
  };
}

const record = z.looseObject({ attributes: z.looseObject({ type: z.string() }) });

function withoutAttributes(value: z.infer<typeof record>): JsonObject {
  const { attributes: _attributes, ...fields } = value;
  return fields as JsonObject;
}

/** Reads up to 2,000 records by id, in the order asked for; null for each that can't be read. */
export async function retrieve(
  ctx: CallContext,
  object: string,
  ids: readonly string[],
  fields: readonly string[],
): Promise<readonly (JsonObject | null)[]> {
  const answer = await call(ctx, {
    method: 'POST',
    path: `/composite/sobjects/${object}`,
    effect: 'read',
    json: { ids: [...ids], fields: [...fields] },
  });
  const records = readJson(answer, z.array(record.nullable()).length(ids.length), 'read');
  return records.map((r) => {
    if (r === null) return null;
    const values = withoutAttributes(r);
    return Object.fromEntries(fields.map((field) => [field, values[field] ?? null]));
  });
}

/** One record at a path below `/sobjects/`; null where there is none. */
export async function getRecord(
  ctx: CallContext,
  path: string,
  fields?: readonly string[],
): Promise<JsonObject | null> {
  try {
    const query = fields === undefined ? '' : `?fields=${fields.map(encodeURIComponent).join(',')}`;
    const answer = await call(ctx, { method: 'GET', path: `/sobjects/${path}${query}`, effect: 'read' });
    return withoutAttributes(readJson(answer, record, 'read'));
  } catch (error) {
    if (error instanceof ConnectorError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}
