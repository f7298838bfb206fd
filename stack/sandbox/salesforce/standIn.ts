/**
 * Stand-in for the Salesforce REST API. It is not Salesforce. Behaviour from
 * https://developer.salesforce.com/docs/platform/api-rest/guide/ (pages named at each call).
 */
import { ChangeLog } from '../changeLog.ts';
import {
  asText,
  type IncomingCall,
  type JsonRecord,
  type OutgoingAnswer,
  type RoutedCall,
  type StandIn,
} from '../standIn.ts';
import { errorAnswer, fieldNamed, objectNamed, refusalOf, refuse, root, saveResult, shown } from './answers.ts';
import { describe, query, readBody, retrieveCollection, updateCollection } from './collections.ts';
import { fullId } from './ids.ts';
import { sampleContact } from './people.ts';
import { Records } from './records.ts';
import { findField, type ObjectDefinition } from './schema.ts';

export interface SalesforceUser {
  readonly id: string;
  readonly username: string;
  /** Without it, every write is refused. */
  readonly mayWrite: boolean;
}

export interface SalesforceSeed {
  /** So many sample contacts. */
  readonly contacts?: number;
  readonly records?: readonly { readonly object: string; readonly fields: JsonRecord }[];
}

const read = (handle: () => OutgoingAnswer): RoutedCall => ({ effect: 'read', handle });

export class SalesforceStandIn implements StandIn {
  readonly vendor = 'salesforce' as const;
  readonly changes: ChangeLog;
  readonly #records: Records;
  readonly #users: ReadonlyMap<string, SalesforceUser>;

  constructor(options: { users: ReadonlyMap<string, SalesforceUser>; now: () => Date }) {
    this.changes = new ChangeLog('salesforce', options.now);
    this.#records = new Records(this.changes, options.now);
    this.#users = options.users;
  }

  route(call: IncomingCall): RoutedCall {
    // quickstart_oauth.htm: every call carries a session id or an OAuth token as bearer.
    const user = this.#users.get(/^Bearer (.+)$/i.exec(call.headers.authorization ?? '')?.[1] ?? '');
    if (user === undefined) {
      throw refuse(401, 'INVALID_SESSION_ID', 'Session expired or invalid');
    }
    const write = (handle: (by: string) => OutgoingAnswer): RoutedCall => ({
      effect: 'write',
      handle: () => {
        if (!user.mayWrite)
          throw refuse(403, 'INSUFFICIENT_ACCESS_OR_READONLY', 'insufficient access rights on object');
        return handle(user.id);
      },
    });
    if (call.path === `${root}/query` && call.method === 'GET') return read(() => query(call, this.#records));
    const parts = call.path.startsWith(`${root}/`)
      ? call.path
          .slice(root.length + 1)
          .split('/')
          .map(decodeURIComponent)
      : [];
    if (parts[0] === 'composite' && parts[1] === 'sobjects') {
      if (call.method === 'PATCH' && parts.length === 2)
        return write((by) => updateCollection(call, this.#records, by));
      if (call.method === 'POST' && parts.length === 3)
        return read(() => retrieveCollection(call, this.#records, parts[2]!));
    }
    if (parts[0] === 'sobjects' && parts.length >= 2) {
      const routed = this.#routeRow(call, parts.slice(1), write);
      if (routed !== undefined) return routed;
    }
    return read(() => errorAnswer(404, 'NOT_FOUND', 'The requested resource does not exist'));
  }

  #routeRow(
    call: IncomingCall,
    parts: readonly string[],
    write: (handle: (by: string) => OutgoingAnswer) => RoutedCall,
  ): RoutedCall | undefined {
    const [objectName, second, third] = parts as [string, string?, string?];
    switch (`${call.method} ${parts.length}`) {
      case 'POST 1':
        return write((by) => this.#create(call, objectName, by));
      case 'GET 2':
        return second === 'describe'
          ? read(() => describe(objectName))
          : read(() => this.#get(call, objectName, second!));
      case 'PATCH 2':
        return write((by) => this.#update(call, objectName, second!, by));
      case 'DELETE 2':
        return write((by) => this.#delete(objectName, second!, by));
      case 'GET 3':
        return read(() => this.#getByExternalId(call, objectName, second!, third!));
      case 'PATCH 3':
        return write((by) => this.#upsert(call, objectName, second!, third!, by));
      default:
        return undefined;
    }
  }

  refuse(status: number): OutgoingAnswer {
    const codes: Record<number, string> = {
      401: 'INVALID_SESSION_ID',
      403: 'INSUFFICIENT_ACCESS_OR_READONLY',
      404: 'NOT_FOUND',
      409: 'CONFLICT',
      412: 'PRECONDITION_FAILED',
      429: 'REQUEST_LIMIT_EXCEEDED',
      500: 'UNKNOWN_EXCEPTION',
      503: 'SERVER_UNAVAILABLE',
    };
    return errorAnswer(status, codes[status] ?? 'UNKNOWN_EXCEPTION', `sandbox fault ${status}`);
  }

  seed(seed: SalesforceSeed): readonly string[] {
    const contacts = Array.from({ length: seed.contacts ?? 0 }, (_, i) => ({
      object: 'Contact',
      fields: sampleContact(i + 1),
    }));
    return [...contacts, ...(seed.records ?? [])].map(({ object, fields }) => {
      const result = this.#records.create(objectNamed(object).name, fields, 'seed');
      if (!result.saved) throw new Error(`seed refused: ${JSON.stringify(result.refusals)}`);
      return result.id;
    });
  }

  /** The record as it stands, past the API. */
  peek(object: string, id: string): JsonRecord | undefined {
    return structuredClone(this.#records.find(object, id));
  }

  /** A person's change in the vendor's own screens, past the API. */
  touch(object: string, id: string, fields: JsonRecord, by = 'someone-in-the-ui'): void {
    this.#records.update(object, id, fields, by);
  }

  snapshot(): JsonRecord {
    return this.#records.snapshot();
  }

  restore(snapshot: JsonRecord): void {
    this.#records.restore(snapshot);
  }

  #fields(object: { name: string; definition: ObjectDefinition }, list: string | null): readonly string[] {
    if (list === null) return Object.keys(object.definition.fields);
    return list.split(',').map((name) => fieldNamed(object, name));
  }

  /** resources_sobject_retrieve_get.htm */
  #get(call: IncomingCall, objectName: string, id: string): OutgoingAnswer {
    const object = objectNamed(objectName);
    const record = this.#records.find(object.name, id);
    if (record === undefined)
      throw refuse(404, 'NOT_FOUND', 'Provided external ID field does not exist or is not accessible');
    return { status: 200, body: shown(object.name, record, this.#fields(object, call.query.get('fields'))) };
  }

  #externalField(object: { name: string; definition: ObjectDefinition }, name: string): string {
    const field = findField(object.definition, name);
    if (field?.definition.externalId !== true) {
      throw refuse(404, 'NOT_FOUND', 'Provided external ID field does not exist or is not accessible: ' + name);
    }
    return field.name;
  }

  #getByExternalId(call: IncomingCall, objectName: string, fieldName: string, value: string): OutgoingAnswer {
    const object = objectNamed(objectName);
    const [record] = this.#records.findBy(object.name, this.#externalField(object, fieldName), value);
    if (record === undefined) throw refuse(404, 'NOT_FOUND', 'The requested resource does not exist');
    return { status: 200, body: shown(object.name, record, this.#fields(object, call.query.get('fields'))) };
  }

  /** resources_sobject_basic_info_post.htm: 201 with id, success, errors. */
  #create(call: IncomingCall, objectName: string, by: string): OutgoingAnswer {
    const result = this.#records.create(objectNamed(objectName).name, readBody(call), by);
    if (!result.saved) throw refusalOf(result);
    return { status: 201, body: saveResult(result) };
  }

  /** resources_sobject_update_patch.htm: 204; dome_conditional_requests.htm: 412 where it changed since. */
  #update(call: IncomingCall, objectName: string, id: string, by: string): OutgoingAnswer {
    const object = objectNamed(objectName);
    const unmodifiedSince = Date.parse(call.headers['if-unmodified-since'] ?? '');
    const record = this.#records.find(object.name, id);
    if (record !== undefined && !Number.isNaN(unmodifiedSince)) {
      // HTTP dates have whole seconds only.
      const modified = Math.floor(Date.parse(asText(record['LastModifiedDate'])) / 1000) * 1000;
      if (modified > unmodifiedSince) throw refuse(412, 'PRECONDITION_FAILED', 'record was modified');
    }
    const result = this.#records.update(object.name, id, readBody(call), by);
    if (!result.saved) throw refusalOf(result);
    return { status: 204 };
  }

  /** resources_sobject_delete.htm: 204, 404 for what is not there. */
  #delete(objectName: string, id: string, by: string): OutgoingAnswer {
    const object = objectNamed(objectName);
    if (fullId(id) === undefined) throw refuse(400, 'MALFORMED_ID', 'malformed id ' + id);
    if (!this.#records.delete(object.name, id, by)) throw refuse(404, 'ENTITY_IS_DELETED', 'entity is deleted');
    return { status: 204 };
  }

  /** resources_sobject_upsert_patch.htm: 201 created, 200 updated; the external id field may not be in the body. */
  #upsert(call: IncomingCall, objectName: string, fieldName: string, value: string, by: string): OutgoingAnswer {
    const object = objectNamed(objectName);
    const field = this.#externalField(object, fieldName);
    const body = readBody(call);
    for (const name of Object.keys(body)) {
      if (['id', field.toLowerCase()].includes(name.toLowerCase())) {
        throw refuse(400, 'INVALID_FIELD', `The ${name} field should not be specified in the sobject data.`);
      }
    }
    const [existing] = this.#records.findBy(object.name, field, value);
    const result =
      existing === undefined
        ? this.#records.create(object.name, { ...body, [field]: value }, by)
        : this.#records.update(object.name, existing['Id'] as string, body, by);
    if (!result.saved) throw refusalOf(result);
    return {
      status: result.created ? 201 : 200,
      body: { id: result.id, success: true, errors: [], created: result.created },
    };
  }
}
