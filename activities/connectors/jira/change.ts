/**
 * Changing an issue's fields and its status; both set our property in the same call.
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/ (edit issue, transition issue)
 */
import { z } from 'zod';
import {
  ConnectorError,
  type CallContext,
  type Json,
  type JsonObject,
  type Settlement,
  type Tool,
} from '../connector.ts';
import { readJson, readNothing } from '../transport/request.ts';
import { actionOf, call, getIssue, issueKey, markOf, ownLabel, propertyKey, targetOf } from './client.ts';
import { changedFields, given, isAsWritten, recorded, toVendor } from './fields.ts';

const updateParams = z.strictObject({ issue: issueKey, fields: changedFields });
type UpdateParams = z.infer<typeof updateParams>;

async function read(ctx: CallContext, issue: string, names: readonly string[]): Promise<JsonObject | null> {
  const found = await getIssue(ctx, issue, names);
  return found === null ? null : recorded(found, names);
}

/** Whose write an issue's last marked one was; see salesforce/update.ts for why this decides. */
async function settleByMark(
  ctx: CallContext,
  key: string,
  names: readonly string[],
  before: Json | null | undefined,
): Promise<Settlement> {
  const now = await read(ctx, key, names);
  if (now !== null && actionOf(now) === ctx.actionId) {
    return { state: 'applied', result: { items: [{ outcome: 'success', target: targetOf(key), after: now }] } };
  }
  if (before === null && now === null) return { state: 'not-applied' };
  if (before && now !== null && actionOf(now) === actionOf(before)) return { state: 'not-applied' };
  return { state: 'undetermined', reason: 'the issue was deleted or written again since' };
}

export const updateIssue: Tool<UpdateParams> = {
  name: 'jira.updateIssue',
  system: 'jira',
  action: 'record.update',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'PUT /rest/api/3/issue/{key}',
  input: updateParams,
  takesMapping: false,
  plan: (params) => [
    {
      params,
      items: [{ target: targetOf(params.issue), requested: given(params.fields), sent: toVendor(params.fields) }],
      fields: [...Object.keys(given(params.fields)), propertyKey],
      channel: { kind: 'ticket', id: params.issue },
    },
  ],
  async before(ctx, { params }) {
    return [await read(ctx, params.issue, Object.keys(given(params.fields)))];
  },
  async call(ctx, { params }) {
    const fields = toVendor(params.fields);
    if (params.fields.labels !== undefined) {
      // Setting labels replaces them all: those by which the issue's creation is found again stay.
      const issue = await getIssue(ctx, params.issue, ['labels']);
      const kept = z.array(z.string()).safeParse(issue?.fields['labels']).data ?? [];
      fields['labels'] = [...params.fields.labels, ...kept.filter(ownLabel)];
    }
    const answer = await call(ctx, {
      method: 'PUT',
      path: `/issue/${params.issue}`,
      effect: 'write',
      json: { fields, properties: markOf(ctx) },
    });
    readNothing(answer, 'write');
    const after = { ...given(params.fields), [propertyKey]: markOf(ctx)[0]!.value };
    return { items: [{ outcome: 'success', target: targetOf(params.issue), after }] };
  },
  async verify(ctx, { params }) {
    const names = Object.keys(given(params.fields));
    const issue = await getIssue(ctx, params.issue, names);
    if (issue === null) return { matches: false, items: [{ matches: false }] };
    const matches = isAsWritten(ctx, given(params.fields), issue, names);
    return { matches, items: [{ matches, readBack: recorded(issue, names) }] };
  },
  settleAfterMs: 60_000,
  settle: (ctx, { params }, before) => settleByMark(ctx, params.issue, Object.keys(given(params.fields)), before[0]),
  compensate(step, before) {
    const was = before[0] as JsonObject | null | undefined;
    if (!was) return undefined;
    const { [propertyKey]: _mark, ...fields } = was;
    return { tool: updateIssue.name, params: { issue: step.params.issue, fields } };
  },
};

const transitionParams = z.strictObject({
  issue: issueKey,
  /** Name of the status that the issue is to have; not of the transition, which each workflow names as it likes. */
  status: z.string().trim().min(1).max(64),
});
type TransitionParams = z.infer<typeof transitionParams>;

const transitionList = z.looseObject({
  transitions: z.array(z.looseObject({ id: z.string(), to: z.looseObject({ name: z.string() }) })),
});

export const transitionIssue: Tool<TransitionParams> = {
  name: 'jira.transitionIssue',
  system: 'jira',
  action: 'record.update',
  effect: 'write',
  idempotency: 'none',
  endpoint: 'POST /rest/api/3/issue/{key}/transitions',
  input: transitionParams,
  takesMapping: false,
  plan: (params) => [
    {
      params,
      items: [
        { target: targetOf(params.issue), requested: { status: params.status }, sent: { status: params.status } },
      ],
      fields: ['status', propertyKey],
      channel: { kind: 'ticket', id: params.issue },
    },
  ],
  async before(ctx, { params }) {
    return [await read(ctx, params.issue, ['status'])];
  },
  async call(ctx, { params }) {
    const path = `/issue/${params.issue}/transitions`;
    const { transitions } = readJson(await call(ctx, { method: 'GET', path, effect: 'read' }), transitionList, 'read');
    const wanted = transitions.find((t) => t.to.name.toLowerCase() === params.status.toLowerCase());
    if (wanted === undefined) {
      throw new ConnectorError('CONFLICT', {
        tookEffect: 'no',
        detail: `no transition leads there; possible: ${transitions.map((t) => t.to.name).join(', ')}`,
      });
    }
    const answer = await call(ctx, {
      method: 'POST',
      path,
      effect: 'write',
      json: { transition: { id: wanted.id }, properties: markOf(ctx) },
    });
    readNothing(answer, 'write');
    const after = { status: wanted.to.name, [propertyKey]: markOf(ctx)[0]!.value };
    return { items: [{ outcome: 'success', target: targetOf(params.issue), after }] };
  },
  async verify(ctx, { params }, result) {
    const wanted = (result.items[0]?.after as JsonObject | undefined)?.['status'] ?? params.status;
    const issue = await getIssue(ctx, params.issue, ['status']);
    if (issue === null) return { matches: false, items: [{ matches: false }] };
    const matches = isAsWritten(ctx, { status: wanted }, issue, ['status']);
    return { matches, items: [{ matches, readBack: recorded(issue, ['status']) }] };
  },
  settleAfterMs: 60_000,
  settle: (ctx, { params }, before) => settleByMark(ctx, params.issue, ['status'], before[0]),
  /** May be refused: a workflow need not have a way back. */
  compensate(step, before) {
    const status = (before[0] as JsonObject | null | undefined)?.['status'];
    if (typeof status !== 'string') return undefined;
    return { tool: transitionIssue.name, params: { issue: step.params.issue, status } };
  },
};
