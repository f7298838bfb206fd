/** Takes what an agent's own runtime observed. Each event is answered for itself. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { reportedEvent, type EventInput, type ReportedEvent } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import { newCorrelationId } from '../../trail/recorder.ts';
import type { Caller, OperationContext } from '../context.ts';
import type { ApiErrorCode } from '../errors.ts';
import { codeOfRefusal, issuesOf } from './append.ts';
import { resolveIdentities } from './identities.ts';
import { runCheckOf } from './reportedRuns.ts';
import { RefusalBudget } from './refusalBudget.ts';

export interface RecordResult {
  readonly status: 'accepted' | 'duplicate' | 'refused';
  readonly receipt: { id: EventId; index: number; leafHash: string; checkpoint: string } | null;
  readonly refusal: { readonly code: ApiErrorCode; readonly message: string } | null;
}

type Refused = { readonly code: ApiErrorCode; readonly message: string };

/** Results in the order of the events. Throws TrailError where the trail is away or its queue full. */
export const recordEvents = async (ctx: OperationContext, events: readonly unknown[]): Promise<RecordResult[]> => {
  const checked = await check(ctx, events);
  const accepted = checked.filter((one): one is EventInput => !('code' in one));
  const results = accepted.length > 0 ? await ctx.instance.trail.writer.append(accepted, 'reported') : [];
  let next = 0;
  const answers = checked.map((one): RecordResult => {
    if ('code' in one) return { status: 'refused', receipt: null, refusal: one };
    const result = results[next++]!;
    if (result.status !== 'refused') return { status: result.status, receipt: result.receipt, refusal: null };
    const { code, message } = result.refusal;
    return { status: 'refused', receipt: null, refusal: { code: codeOfRefusal(code), message } };
  });
  await recordRefusals(ctx, events, answers);
  return answers;
};

/** Emitters of the platform's own. */
const reserved = /^platform(\/|$)/;

/** In the order of the events. Who may report what is decided on principals, however they were named. */
const check = async (
  { caller, instance }: OperationContext,
  events: readonly unknown[],
): Promise<(EventInput | Refused)[]> => {
  const parsed = events.map(parse);
  const fitting = parsed.filter((one): one is ReportedEvent => !('code' in one));
  const resolved = await resolveIdentities(instance, fitting);
  const checkRun = await runCheckOf(
    instance.trail.reader,
    resolved.filter((one): one is EventInput => !('code' in one)),
  );
  let next = 0;
  return parsed.map((one) => {
    if ('code' in one) return one;
    const event = resolved[next++]!;
    return 'code' in event ? event : (refusalOfActor(caller, event) ?? checkRun(event) ?? event);
  });
};

const parse = (event: unknown): ReportedEvent | Refused => {
  const parsed = reportedEvent.safeParse(event);
  if (!parsed.success)
    return { code: 'BAD_INPUT', message: `it does not fit the event model (${issuesOf(parsed.error, event)})` };
  if (reserved.test(parsed.data.emitter.id))
    return { code: 'FORBIDDEN', message: 'emitter.id: ids that begin with "platform/" are the platform\'s own' };
  return parsed.data;
};

const refusalOfActor = (caller: Caller, { actor }: EventInput): Refused | undefined => {
  if (caller.role === 'operator') return undefined;
  if (actor.principal !== caller.principal)
    return { code: 'FORBIDDEN', message: 'actor: only an operator reports what others did' };
  if (actor.kind !== caller.kind)
    return { code: 'FORBIDDEN', message: 'actor.kind: not what the caller is registered as' };
  return undefined;
};

const budget = new RefusalBudget();
const digestsMax = 100;

/** By digest and reason, never by content; one entry a call, and only so many a minute for each caller. */
const recordRefusals = async (
  { caller, instance, services }: OperationContext,
  events: readonly unknown[],
  answers: readonly RecordResult[],
): Promise<void> => {
  const refused = answers.flatMap(({ refusal }, position) =>
    refusal ? [{ sha256: digestOf(events[position]), code: refusal.code }] : [],
  );
  if (refused.length === 0) return;
  const spent = budget.spend(`${caller.instance}/${caller.principal}`, services.nowMs(), refused.length);
  if (spent === undefined) return;
  await instance.recorder.record([
    {
      correlationId: newCorrelationId(),
      actor: { principal: caller.principal, kind: caller.kind },
      action: 'input.refuse',
      phase: 'outcome',
      outcome: 'denied',
      system: 'trailkeeper',
      count: refused.length + spent.unrecorded,
      error: { code: 'INPUT_REFUSED' },
      parts: [{ name: 'refused', content: { inputs: refused.slice(0, digestsMax), notListed: spent.unrecorded } }],
    },
  ]);
};

const digestOf = (event: unknown): string => {
  try {
    return createHash('sha256')
      .update(canonicalize(event) ?? 'null')
      .digest('hex');
  } catch {
    // What has no canonical form (a lone surrogate) is named by the bytes it came in.
    return createHash('sha256').update(JSON.stringify(event)).digest('hex');
  }
};
