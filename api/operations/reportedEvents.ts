/** Whether what an agent's own runtime reports may be appended: event model, identities, who reports, the run it names. */
import { eventLimits, reportedEvent, type EventInput, type ReportedEvent } from '../../schema/event.ts';
import { compileFit } from '../../schema/fastFit.ts';
import type { Caller, OperationContext } from '../context.ts';
import { issuesOf } from './append.ts';
import { resolveIdentities } from './identities.ts';
import type { Incoming, Refused } from './incoming.ts';
import { runCheckOf } from './reportedRuns.ts';

/** In order: an event that may be appended, or why it may not. */
export type Admitted = EventInput | Refused;
export const isRefused = (one: object): one is Refused => 'code' in one;

/**
 * In the order of the events. Who may report what is decided on principals, however they were named. Throws
 * TRAIL_UNAVAILABLE where the index does not tell yet which runs there are.
 */
export const admitReported = async (
  { caller, instance }: OperationContext,
  events: readonly Incoming[],
): Promise<Admitted[]> => {
  const parsed = events.map(parse);
  const fitting = parsed.filter((one): one is ReportedEvent => !isRefused(one));
  const resolved = await resolveIdentities(instance, fitting);
  const checkRun = await runCheckOf(
    instance.trail.reader,
    resolved.filter((one): one is EventInput => !isRefused(one)),
  );
  let next = 0;
  return parsed.map((one) => {
    if (isRefused(one)) return one;
    const event = resolved[next++]!;
    return isRefused(event) ? event : (refusalOfActor(caller, event) ?? checkRun(event) ?? event);
  });
};

/** Parts of an event are serialised as they came, and so are the objects within it. */
const fits = compileFit(reportedEvent, { ordered: true });
/** Emitters of the platform's own. */
const reserved = /^platform(\/|$)/;

const parse = (one: Incoming): ReportedEvent | Refused => {
  if (one.kind === 'unreadable') return one.refusal;
  const { value } = one;
  if (fits(value)) return ownEmitterOnly(value as ReportedEvent);
  if (nestsTooDeep(value))
    return { code: 'BAD_INPUT', message: `it nests more than ${eventLimits.depthMax} levels deep` };
  const parsed = reportedEvent.safeParse(value);
  if (!parsed.success)
    return { code: 'BAD_INPUT', message: `it does not fit the event model (${issuesOf(parsed.error, value)})` };
  return ownEmitterOnly(parsed.data);
};

const ownEmitterOnly = (event: ReportedEvent): ReportedEvent | Refused =>
  reserved.test(event.emitter.id)
    ? { code: 'FORBIDDEN', message: 'emitter.id: ids that begin with "platform/" are the platform\'s own' }
    : event;

/** Level by level, so that it does not itself run out of stack on what whoever reads it next would. */
const nestsTooDeep = (value: unknown): boolean => {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > eventLimits.depthMax) return true;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
  }
  return false;
};

const refusalOfActor = (caller: Caller, { actor }: EventInput): Refused | undefined => {
  if (caller.role === 'operator') return undefined;
  if (actor.principal !== caller.principal)
    return { code: 'FORBIDDEN', message: 'actor: only an operator reports what others did' };
  if (actor.kind !== caller.kind)
    return { code: 'FORBIDDEN', message: 'actor.kind: not what the caller is registered as' };
  return undefined;
};
