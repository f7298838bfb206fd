/** Reading Salesforce records: by id, and by conditions. */
import { z } from 'zod';
import type { Tool } from '../connector.ts';
import { readJson } from '../transport/request.ts';
import { apiName, apiRoot, call, fieldValue, recordId, retrieve, target } from './client.ts';
import { toFullId } from '../../../domain/salesforceId.ts';

const readParams = z.strictObject({
  object: apiName,
  ids: z.array(recordId).min(1).max(2000),
  fields: z.array(apiName).min(1).max(100),
});
type ReadParams = z.infer<typeof readParams>;

/** https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_retrieve.htm */
export const readRecords: Tool<ReadParams> = {
  name: 'salesforce.readRecords',
  system: 'salesforce',
  action: 'record.read',
  effect: 'read',
  idempotency: 'none',
  endpoint: 'POST /services/data/{version}/composite/sobjects/{object}',
  input: readParams,
  takesMapping: false,
  plan: (params) => [
    { params, items: params.ids.map((id) => ({ target: target(params.object, id) })), fields: params.fields },
  ],
  async call(ctx, { params }) {
    const records = await retrieve(ctx, params.object, params.ids, params.fields);
    return {
      items: records.map((values, i) => ({
        target: target(params.object, params.ids[i]!),
        ...(values === null
          ? { outcome: 'failure' as const, error: { code: 'NOT_FOUND' as const } }
          : { outcome: 'success' as const, after: values }),
      })),
      response: { found: records.filter((values) => values !== null).length },
    };
  },
};

const literal = z.union([fieldValue, z.strictObject({ datetime: z.iso.datetime({ offset: true }) })]);
const condition = z.union([
  z.strictObject({ field: apiName, operator: z.enum(['=', '!=', '<', '<=', '>', '>=']), value: literal }),
  z.strictObject({ field: apiName, operator: z.literal('like'), value: z.string().max(255) }),
  z.strictObject({ field: apiName, operator: z.literal('in'), value: z.array(literal).min(1).max(200) }),
]);
const queryParams = z.strictObject({
  object: apiName,
  fields: z.array(apiName).min(1).max(100),
  /** All must hold. Not free SOQL, so that a policy can see what is asked, and nothing can be smuggled in. */
  where: z.array(condition).max(20).optional(),
  orderBy: z.strictObject({ field: apiName, direction: z.enum(['asc', 'desc']) }).optional(),
  limit: z.int().min(1).max(2000),
});
type QueryParams = z.infer<typeof queryParams>;

/** https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm */
const quoted = (text: string): string =>
  `'${text
    .replace(/[\\']/g, (c) => `\\${c}`)
    .replace(/\n/g, '\\n')
    .replace(/\r/g, '\\r')
    .replace(/\t/g, '\\t')}'`;

function literalText(value: z.infer<typeof literal>): string {
  if (typeof value === 'string') return quoted(value);
  return typeof value === 'object' && value !== null ? new Date(value.datetime).toISOString() : String(value);
}

function conditionText(c: z.infer<typeof condition>): string {
  if (c.operator === 'like') return `${c.field} LIKE ${quoted(c.value)}`;
  if (c.operator === 'in') return `${c.field} IN (${c.value.map(literalText).join(', ')})`;
  return `${c.field} ${c.operator} ${literalText(c.value)}`;
}

/** The SOQL of a structured query. */
export function soqlOf(params: QueryParams): string {
  const conditions = (params.where ?? []).map(conditionText);
  const fields = [...new Set(['Id', ...params.fields])];
  return [
    `SELECT ${fields.join(', ')} FROM ${params.object}`,
    ...(conditions.length === 0 ? [] : [`WHERE ${conditions.join(' AND ')}`]),
    ...(params.orderBy === undefined
      ? []
      : [`ORDER BY ${params.orderBy.field} ${params.orderBy.direction.toUpperCase()}`]),
    `LIMIT ${params.limit}`,
  ].join(' ');
}

const queryResult = z.looseObject({
  done: z.boolean(),
  totalSize: z.int(),
  nextRecordsUrl: z.string().optional(),
  records: z.array(z.looseObject({ Id: z.string() })),
});

/** The objects found are in `found`, each with its subject. */
export const queryRecords: Tool<QueryParams> = {
  name: 'salesforce.queryRecords',
  system: 'salesforce',
  action: 'record.search',
  effect: 'read',
  idempotency: 'none',
  endpoint: 'GET /services/data/{version}/query',
  input: queryParams,
  takesMapping: false,
  plan: (params) => [{ params, items: [], fields: params.fields }],
  async call(ctx, { params }) {
    const found = [];
    let path: string | undefined = `/query?q=${encodeURIComponent(soqlOf(params))}`;
    while (path !== undefined) {
      const answer = await call(ctx, { method: 'GET', path, effect: 'read' });
      const page: z.infer<typeof queryResult> = readJson(answer, queryResult, 'read');
      found.push(
        ...page.records.map((record) => ({
          target: target(params.object, toFullId(record.Id)),
          values: Object.fromEntries(params.fields.map((field) => [field, (record[field] ?? null) as never])),
        })),
      );
      // A path of the same server, never a URL of another.
      path =
        !page.done && page.nextRecordsUrl?.startsWith(`${apiRoot}/query/`)
          ? page.nextRecordsUrl.slice(apiRoot.length)
          : undefined;
    }
    return { items: [], found, response: { found: found.length } };
  },
};
