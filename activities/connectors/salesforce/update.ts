/**
 * Changing many Salesforce records at once: by logical fields through a mapping, and back to recorded values. Each
 * record gets our marks in the same write, so that afterwards it can be told whose write it was.
 * https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-update.html
 */
import { z } from 'zod';
import { applyMapping, MappingError } from '../../../domain/mapping.ts';
import {
  ConnectorError,
  type CallContext,
  type CallResult,
  type FieldMapping,
  type ItemResult,
  type Json,
  type JsonObject,
  type Settlement,
  type Step,
  type StepItem,
  type Tool,
  type Verification,
} from '../connector.ts';
import { holds } from '../readBack.ts';
import {
  apiName,
  call,
  fieldValue,
  isReserved,
  itemFailure,
  markFields,
  marks,
  marksOf,
  readSaveResults,
  recordId,
  retrieve,
  target,
  writableFields,
} from './client.ts';
import { toFullId } from '../../../domain/salesforceId.ts';

/** The vendor's limit for one call. */
export const collectionMax = 200;
const recordsMax = 10_000;

const distinct = (records: readonly { id: string }[]): boolean =>
  new Set(records.map((r) => toFullId(r.id))).size === records.length;

const updateParams = z.strictObject({
  object: apiName,
  /** `name@version`. */
  mapping: z.string().regex(/^[A-Za-z0-9._-]+@[A-Za-z0-9._+-]+$/),
  /** True: one refused record undoes its call (of up to 200). Default: each stands for itself. */
  allOrNone: z.boolean().optional(),
  records: z
    .array(
      z.strictObject({
        id: recordId,
        set: z
          .record(z.string().min(1).max(128), fieldValue)
          .refine((set) => Object.keys(set).length > 0, 'at least one field'),
      }),
    )
    .min(1)
    .max(recordsMax)
    .refine(distinct, 'one record can be named once only'),
});
type UpdateParams = z.infer<typeof updateParams>;

const restoreParams = z.strictObject({
  object: apiName,
  allOrNone: z.boolean().optional(),
  records: z
    .array(z.strictObject({ id: recordId, fields: writableFields }))
    .min(1)
    .max(recordsMax)
    .refine(distinct, 'one record can be named once only'),
});
type RestoreParams = z.infer<typeof restoreParams>;

type Params = { readonly object: string; readonly allOrNone?: boolean | undefined };

const invalid = (detail: string): ConnectorError => new ConnectorError('INVALID_REQUEST', { tookEffect: 'no', detail });

const sentOf = (item: StepItem): JsonObject => item.sent as JsonObject;
const idOf = (item: StepItem): string => item.target!.id;
const idsOf = (step: Step<Params>): string[] => step.items.map(idOf);

function chunks<T>(list: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(list.length / collectionMax) }, (_, i) =>
    list.slice(i * collectionMax, (i + 1) * collectionMax),
  );
}

function fieldsOf(items: readonly StepItem[]): string[] {
  return [...new Set([...items.flatMap((item) => Object.keys(sentOf(item))), ...markFields])];
}

/** Logical to vendor fields. Throws ConnectorError INVALID_REQUEST; its detail names fields, never values. */
function mapped(mapping: FieldMapping, set: JsonObject): JsonObject {
  try {
    const fields = applyMapping(mapping, set);
    const wrong = Object.keys(fields).find((field) => isReserved(field) || !apiName.safeParse(field).success);
    if (wrong !== undefined) throw invalid(`mapping ${mapping.name}@${mapping.version} leads to the field ${wrong}`);
    return fields;
  } catch (error) {
    if (error instanceof MappingError) throw invalid(error.message);
    throw error;
  }
}

function before(ctx: CallContext, step: Step<Params>): Promise<readonly (JsonObject | null)[]> {
  return retrieve(ctx, step.params.object, idsOf(step), step.fields);
}

async function update(ctx: CallContext, step: Step<Params>): Promise<CallResult> {
  const { object, allOrNone } = step.params;
  const ours = marksOf(ctx);
  const answer = await call(ctx, {
    method: 'PATCH',
    path: '/composite/sobjects',
    effect: 'write',
    json: {
      allOrNone: allOrNone ?? false,
      records: step.items.map((item) => ({ attributes: { type: object }, id: idOf(item), ...sentOf(item), ...ours })),
    },
  });
  const results = readSaveResults(answer, step.items.length);
  return {
    items: step.items.map((item, i): ItemResult => {
      const result = results[i]!;
      return result.success
        ? { outcome: 'success', target: item.target!, after: { ...sentOf(item), ...ours } }
        : { outcome: 'failure', target: item.target!, error: itemFailure(result.errors) };
    }),
    response: { updated: results.filter((r) => r.success).length, refused: results.filter((r) => !r.success).length },
  };
}

async function verify(ctx: CallContext, step: Step<Params>, result: CallResult): Promise<Verification> {
  const readBack = await retrieve(ctx, step.params.object, idsOf(step), step.fields);
  const items = step.items.map((item, i) => {
    const values = readBack[i]!;
    if (result.items[i]?.outcome !== 'success' || values === null) return { matches: false };
    return { matches: holds({ ...sentOf(item), ...marksOf(ctx) }, values), readBack: values };
  });
  return { matches: items.every((item, i) => item.matches || result.items[i]?.outcome !== 'success'), items };
}

/**
 * Each record's mark tells whose write was the last of ours. Ours: applied, whatever people changed since. The one from
 * before: not applied, for ours would have replaced it and no later write of ours puts an old one back. Any other: a
 * later action overwrote the evidence.
 */
async function settle(
  ctx: CallContext,
  step: Step<Params>,
  beforeValues: readonly (Json | null)[],
): Promise<Settlement> {
  const now = await retrieve(ctx, step.params.object, idsOf(step), step.fields);
  const states = step.items.map((_item, i) => {
    const was = beforeValues[i] as JsonObject | null | undefined;
    const is = now[i]!;
    if (is?.[marks.lastAction] === ctx.actionId) return 'applied';
    if (was === null && is === null) return 'not-applied';
    if (was && is && (was[marks.lastAction] ?? null) === (is[marks.lastAction] ?? null)) return 'not-applied';
    return 'undetermined';
  });
  const lost = states.filter((state) => state === 'undetermined').length;
  if (lost > 0) {
    return { state: 'undetermined', reason: `${lost} of ${states.length} records were deleted or written again since` };
  }
  if (!states.includes('applied')) return { state: 'not-applied' };
  return {
    state: 'applied',
    result: {
      items: step.items.map((item, i) =>
        states[i] === 'applied'
          ? { outcome: 'success', target: item.target!, after: now[i]! }
          : {
              outcome: 'failure',
              target: item.target!,
              error: { code: 'INVALID_REQUEST', detail: 'unchanged, although others of the same call were changed' },
            },
      ),
    },
  };
}

function compensate(
  step: Step<Params>,
  beforeValues: readonly (Json | null)[],
  result: CallResult,
): { tool: string; params: JsonObject } | undefined {
  const records = step.items.flatMap((item, i) => {
    const was = beforeValues[i] as JsonObject | null | undefined;
    if (result.items[i]?.outcome !== 'success' || !was) return [];
    return [{ id: idOf(item), fields: Object.fromEntries(Object.keys(sentOf(item)).map((f) => [f, was[f] ?? null])) }];
  });
  if (records.length === 0) return undefined;
  return { tool: restoreRecords.name, params: { object: step.params.object, records } };
}

const shared = {
  system: 'salesforce',
  action: 'record.update',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'PATCH /services/data/{version}/composite/sobjects',
  before,
  call: update,
  verify,
  // Salesforce ends a request after 120 s at the latest.
  settleAfterMs: 120_000,
  settle,
  compensate,
} as const;

/** Sets logical fields through a published mapping. */
export const updateRecords: Tool<UpdateParams> = {
  ...shared,
  name: 'salesforce.updateRecords',
  input: updateParams,
  takesMapping: true,
  plan(params, mapping) {
    if (mapping === undefined) throw invalid(`no content was given for mapping ${params.mapping}`);
    if (`${mapping.name}@${mapping.version}` !== params.mapping) {
      throw invalid(`the parameters name mapping ${params.mapping}, not ${mapping.name}@${mapping.version}`);
    }
    return chunks(params.records).map((records) => {
      const items = records.map(({ id, set }) => ({
        target: target(params.object, id),
        requested: set,
        sent: mapped(mapping, set),
      }));
      return { params: { ...params, records }, items, fields: fieldsOf(items) };
    });
  },
};

/** Sets vendor fields to given values, without a mapping: takes back an update, from its recorded before-values. */
export const restoreRecords: Tool<RestoreParams> = {
  ...shared,
  name: 'salesforce.restoreRecords',
  input: restoreParams,
  takesMapping: false,
  plan: (params) =>
    chunks(params.records).map((records) => {
      const items = records.map(({ id, fields }) => ({
        target: target(params.object, id),
        requested: fields,
        sent: fields,
      }));
      return { params: { ...params, records }, items, fields: fieldsOf(items) };
    }),
};
