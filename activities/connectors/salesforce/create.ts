/** Creating one Salesforce record, once however often it is tried, and deleting one. */
import { z } from 'zod';
import type { JsonObject, Tool } from '../connector.ts';
import { holds } from '../readBack.ts';
import { readJson, readNothing } from '../transport/request.ts';
import { apiName, call, getRecord, markFields, marks, marksOf, recordId, target, writableFields } from './client.ts';
import { toFullId } from '../../../domain/salesforceId.ts';

const createParams = z.strictObject({ object: apiName, fields: writableFields });
type CreateParams = z.infer<typeof createParams>;

const upsertResult = z.looseObject({ id: z.string(), success: z.literal(true) });

/**
 * An upsert by our external id: a second try finds the record that the first one made.
 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_upsert_patch.htm
 */
export const createRecord: Tool<CreateParams> = {
  name: 'salesforce.createRecord',
  system: 'salesforce',
  action: 'record.create',
  effect: 'write',
  idempotency: 'key',
  endpoint: 'PATCH /services/data/{version}/sobjects/{object}/{externalIdField}/{externalId}',
  input: createParams,
  takesMapping: false,
  plan: (params) => [
    {
      params,
      items: [{ requested: params.fields, sent: params.fields }],
      fields: [...Object.keys(params.fields), ...markFields, marks.creatingAction],
    },
  ],
  async call(ctx, { params }) {
    const ours = marksOf(ctx);
    const answer = await call(ctx, {
      method: 'PATCH',
      path: `/sobjects/${params.object}/${marks.creatingAction}/${ctx.actionId}`,
      effect: 'write',
      json: { ...params.fields, ...ours },
    });
    const { id } = readJson(answer, upsertResult, 'write');
    const after = { ...params.fields, ...ours, [marks.creatingAction]: ctx.actionId };
    return {
      items: [{ outcome: 'success', target: target(params.object, id), after }],
      response: { id: toFullId(id) },
    };
  },
  async verify(ctx, { params }, result) {
    const readBack = await getRecord(ctx, `${params.object}/${result.items[0]!.target!.id}`, [
      ...Object.keys(params.fields),
      ...markFields,
      marks.creatingAction,
    ]);
    if (readBack === null) return { matches: false, items: [{ matches: false }] };
    const expected: JsonObject = { ...params.fields, ...marksOf(ctx), [marks.creatingAction]: ctx.actionId };
    const matches = holds(expected, readBack);
    return { matches, items: [{ matches, readBack }] };
  },
  settleAfterMs: 120_000,
  async settle(ctx, { params }) {
    const fields = ['Id', ...Object.keys(params.fields), ...markFields, marks.creatingAction];
    const found = await getRecord(ctx, `${params.object}/${marks.creatingAction}/${ctx.actionId}`, fields);
    if (found === null) return { state: 'not-applied' };
    const { Id, ...after } = found;
    const id = toFullId(Id as string);
    return {
      state: 'applied',
      result: { items: [{ outcome: 'success', target: target(params.object, id), after }], response: { id } },
    };
  },
  compensate(step, _before, result) {
    const id = result.items[0]?.target?.id;
    return id === undefined ? undefined : { tool: deleteRecord.name, params: { object: step.params.object, id } };
  },
};

const deleteParams = z.strictObject({ object: apiName, id: recordId });
type DeleteParams = z.infer<typeof deleteParams>;

/**
 * Deletes one record. A second call finds nothing and fails. The REST API can't take it back out of the recycle bin.
 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_retrieve_delete.htm
 */
export const deleteRecord: Tool<DeleteParams> = {
  name: 'salesforce.deleteRecord',
  system: 'salesforce',
  action: 'record.delete',
  effect: 'irreversible',
  idempotency: 'conditional',
  endpoint: 'DELETE /services/data/{version}/sobjects/{object}/{id}',
  input: deleteParams,
  takesMapping: false,
  plan: (params) => [{ params, items: [{ target: target(params.object, params.id) }], fields: [] }],
  async before(ctx, { params }) {
    return [await getRecord(ctx, `${params.object}/${params.id}`)];
  },
  async call(ctx, { params }) {
    const path = `/sobjects/${params.object}/${params.id}`;
    readNothing(await call(ctx, { method: 'DELETE', path, effect: 'write' }), 'write');
    return { items: [{ outcome: 'success', target: target(params.object, params.id) }] };
  },
  async verify(ctx, { params }) {
    const matches = (await getRecord(ctx, `${params.object}/${params.id}`, ['Id'])) === null;
    return { matches, items: [{ matches }] };
  },
  settleAfterMs: 120_000,
  async settle(ctx, { params }, before) {
    if (before[0] === null) return { state: 'not-applied' };
    if ((await getRecord(ctx, `${params.object}/${params.id}`, ['Id'])) !== null) return { state: 'not-applied' };
    // Somebody else may have deleted it in the same moment; nothing in Salesforce's answer tells.
    return {
      state: 'applied',
      result: { items: [{ outcome: 'success', target: target(params.object, params.id) }] },
    };
  },
};
