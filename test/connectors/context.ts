/** What the activity would give a connector for one call, and the run of a tool through its steps. */
import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import type {
  CallContext,
  CallResult,
  FieldMapping,
  Json,
  JsonObject,
  Step,
  Tool,
} from '../../activities/connectors/connector.ts';
import { toolNamed } from '../../activities/connectors/registry.ts';
import type { CorrelationId, EventId } from '../../schema/ids.ts';
import type { Sandbox } from '../../stack/sandbox/sandbox.ts';
import type { Vendor } from '../../stack/sandbox/standIn.ts';

/** Params are erased in the registry; a test gives them as JSON, as the workflow does. */
export type AnyTool = Tool<unknown>;

export function tool(name: string): AnyTool {
  const found = toolNamed(name);
  if (found === undefined) throw new Error(`no tool ${name}`);
  return found;
}

export interface ContextOptions {
  readonly correlationId?: CorrelationId;
  readonly mapping?: FieldMapping;
  readonly timeoutMs?: number;
  readonly credential?: JsonObject;
  readonly signal?: AbortSignal;
}

/** A new action each time; the same one again by passing its context on. */
export function contextFor(sandbox: Sandbox, vendor: Vendor, options: ContextOptions = {}): CallContext {
  const correlationId = options.correlationId ?? (randomBytes(16).toString('hex') as CorrelationId);
  return {
    baseUrl: sandbox.urls[vendor],
    credential: options.credential ?? sandbox.credentials[vendor],
    correlationId,
    traceparent: `00-${correlationId}-${randomBytes(8).toString('hex')}-01`,
    actionId: v7() as EventId,
    step: 0,
    ...(options.mapping === undefined ? {} : { mapping: options.mapping }),
    timeoutMs: options.timeoutMs ?? 20_000,
    signal: options.signal ?? new AbortController().signal,
  };
}

export interface Planned {
  readonly step: Step<unknown>;
  readonly before: readonly (Json | null)[];
}

/** Checks the input, plans, and captures the values before; for tools with one step. */
export async function prepareStep(t: AnyTool, ctx: CallContext, params: JsonObject): Promise<Planned> {
  const steps = t.plan(t.input.parse(params), ctx.mapping);
  const [step] = steps;
  if (step === undefined || steps.length !== 1) throw new Error(`${t.name} has ${steps.length} steps here`);
  return { step, before: (await t.before?.(ctx, step)) ?? step.items.map(() => null) };
}

/** One step carried out. */
export async function perform(
  t: AnyTool,
  ctx: CallContext,
  params: JsonObject,
): Promise<Planned & { readonly result: CallResult }> {
  const planned = await prepareStep(t, ctx, params);
  return { ...planned, result: await t.call(ctx, planned.step, planned.before) };
}
