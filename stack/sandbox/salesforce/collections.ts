/** The calls that concern many records at once, and the description of an object. */
import { asText, isRecord, jsonBody, type IncomingCall, type JsonRecord, type OutgoingAnswer } from '../standIn.ts';
import { fieldNamed, objectNamed, refuse, saveResult, shown } from './answers.ts';
import { fullId } from './ids.ts';
import type { Records, SaveResult } from './records.ts';
import { findObject } from './schema.ts';
import { matches, MalformedQuery, parseSoql } from './soql.ts';

/** resources-composite-sobjects-collections-update.html: "update up to 200 records". */
const collectionMax = 200;
/** resources_composite_sobjects_collections_retrieve.htm: POST takes up to 2,000 records. */
const retrieveMax = 2000;

export function readBody(call: IncomingCall): JsonRecord {
  return jsonBody(call, () => refuse(400, 'JSON_PARSER_ERROR', 'Unexpected character'));
}

/**
 * resources-composite-sobjects-collections-update.html: up to 200, each with `attributes.type` and `id`; results in
 * the same order; with allOrNone, one refusal rolls back all.
 */
export function updateCollection(call: IncomingCall, store: Records, by: string): OutgoingAnswer {
  const body = readBody(call);
  const records = body['records'];
  if (!Array.isArray(records) || !records.every(isRecord)) {
    throw refuse(400, 'JSON_PARSER_ERROR', 'records: a list of sobjects is required');
  }
  if (records.length > collectionMax) {
    throw refuse(400, 'EXCEEDED_ID_LIMIT', `record limit reached. cannot submit more than ${collectionMax} records`);
  }
  const parsed = records.map((record) => {
    const { attributes, id, Id, ...fields } = record;
    const type = isRecord(attributes ?? null) ? (attributes as JsonRecord)['type'] : undefined;
    if (typeof type !== 'string') throw refuse(400, 'INVALID_TYPE', 'attributes.type is required');
    const recordIdGiven = id ?? Id;
    if (typeof recordIdGiven !== 'string') throw refuse(400, 'MISSING_ARGUMENT', 'Id not specified');
    return { object: objectNamed(type).name, id: recordIdGiven, fields };
  });
  const ids = parsed.map((record) => fullId(record.id) ?? record.id);
  if (new Set(ids).size !== ids.length) throw refuse(400, 'DUPLICATE_VALUE', 'duplicate id in list');
  const refusals = parsed.map((r) => store.refuseUpdate(r.object, r.id, r.fields));
  if (body['allOrNone'] === true && refusals.some((r) => r !== undefined)) {
    const rolledBack: SaveResult = {
      saved: false,
      refusals: [
        {
          errorCode: 'ALL_OR_NONE_OPERATION_ROLLED_BACK',
          message: 'Record rolled back because not all records were valid and the request was using AllOrNone header',
          fields: [],
        },
      ],
    };
    return { status: 200, body: refusals.map((r) => saveResult(r ?? rolledBack)) };
  }
  return {
    status: 200,
    body: parsed.map((r) => saveResult(store.update(r.object, r.id, r.fields, by))),
  };
}

/** resources_composite_sobjects_collections_retrieve.htm: same order as the ids; null for what can't be read. */
export function retrieveCollection(call: IncomingCall, store: Records, objectName: string): OutgoingAnswer {
  const object = objectNamed(objectName);
  const { ids, fields } = readBody(call);
  if (!Array.isArray(ids) || !Array.isArray(fields)) throw refuse(400, 'JSON_PARSER_ERROR', 'ids and fields needed');
  if (ids.length > retrieveMax) throw refuse(400, 'EXCEEDED_ID_LIMIT', `at most ${retrieveMax} ids`);
  const names = fields.map((name) => fieldNamed(object, asText(name)));
  return {
    status: 200,
    body: ids.map((id) => {
      if (fullId(asText(id)) === undefined) throw refuse(400, 'MALFORMED_ID', `bad id ${asText(id)}`);
      const record = store.find(object.name, asText(id));
      return record === undefined ? null : shown(object.name, record, [...new Set(['Id', ...names])]);
    }),
  };
}

/** resources_query.htm */
export function query(call: IncomingCall, store: Records): OutgoingAnswer {
  try {
    const asked = parseSoql(call.query.get('q') ?? '');
    const object = findObject(asked.object);
    if (object === undefined) {
      throw refuse(400, 'INVALID_TYPE', `sObject type '${asked.object}' is not supported.`);
    }
    const fields = asked.fields.map((name) => fieldNamed(object, name));
    const where = asked.where.map((c) => ({ ...c, field: fieldNamed(object, c.field) }));
    let found = store.all(object.name).filter((record) => where.every((c) => matches(record, c)));
    if (asked.orderBy !== undefined) {
      const field = fieldNamed(object, asked.orderBy.field);
      const sign = asked.orderBy.descending ? -1 : 1;
      found = found.toSorted((a, b) => sign * (asText(a[field]) < asText(b[field]) ? -1 : 1));
    }
    const page = found.slice(0, asked.limit ?? 2000);
    return {
      status: 200,
      body: { totalSize: page.length, done: true, records: page.map((r) => shown(object.name, r, fields)) },
    };
  } catch (error) {
    if (error instanceof MalformedQuery) throw refuse(400, 'MALFORMED_QUERY', error.message);
    throw error;
  }
}

/** resources_sobject_describe.htm, as far as an administrator's check of the custom fields needs it. */
export function describe(objectName: string): OutgoingAnswer {
  const object = objectNamed(objectName);
  return {
    status: 200,
    body: {
      name: object.name,
      keyPrefix: object.definition.keyPrefix,
      fields: Object.entries(object.definition.fields).map(([name, field]) => ({
        name,
        type: field.type,
        length: field.length ?? 0,
        updateable: field.readOnly !== true,
        createable: field.readOnly !== true,
        nillable: field.required !== true,
        externalId: field.externalId === true,
        unique: field.externalId === true,
        custom: name.endsWith('__c'),
      })),
    },
  };
}
