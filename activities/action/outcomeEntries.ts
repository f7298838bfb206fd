/** The entries that say what a call did: one for the call, one for each of its objects, one for each object found. */
import type { RecordedOutcome } from '../../domain/action/contract.ts';
import type { Entry, EventInput } from '../../schema/event.ts';
import type { EventId, SpanId } from '../../schema/ids.ts';
import type { ErrorCode, Outcome } from '../../schema/taxonomy.ts';
import type { CallResult, Step } from '../connectors/connector.ts';
import { entryOf, memberCount, memberId, newSpan, objectFields } from './entries.ts';
import type { Prepared } from './prepare.ts';

export interface Slot {
  readonly id: EventId;
  readonly sequence: number;
}

/** The entry of the attempt that an outcome belongs to. */
export interface AttemptPlace {
  readonly id: EventId;
  readonly number: number;
  readonly spanId: SpanId;
  readonly step: Step<unknown>;
}

export type CallEnd =
  | { readonly kind: 'answered'; readonly result: CallResult }
  | {
      readonly kind: 'failed';
      readonly outcome: Exclude<Outcome, 'success' | 'pending'>;
      readonly code?: ErrorCode;
      readonly httpStatus?: number;
      readonly retryAfterMs?: number;
      readonly detail?: string;
    };

export interface OutcomeGroup {
  readonly events: readonly EventInput[];
  readonly recorded: RecordedOutcome & { readonly sequence: number };
}

/** Ids of objects found follow those of the step's own objects. */
const foundId = (outcome: EventId, members: number, position: number): EventId => memberId(outcome, members + position);

export const outcomeGroup = (
  { intent, tool, connectorVersion }: Prepared,
  attempt: AttemptPlace,
  slot: Slot,
  eventTime: string,
  end: CallEnd,
  /** What led to it; the attempt itself, or an outcome that was unknown. */
  causedBy: EventId = attempt.id,
): OutcomeGroup => {
  const { items, channel } = attempt.step;
  const shared = {
    parentSpanId: attempt.spanId,
    action: tool.action,
    system: tool.system,
    endpoint: tool.endpoint,
    phase: 'outcome' as const,
    attempt: attempt.number,
  };
  const settleAfterMs = tool.settle === undefined ? -1 : (tool.settleAfterMs ?? 0);
  const base = { kind: 'recorded' as const, entry: slot.id, settleAfterMs, size: Math.max(1, items.length) };
  if (end.kind === 'failed') {
    const { outcome, code, httpStatus, retryAfterMs, detail } = end;
    const error = code && {
      code,
      ...(httpStatus !== undefined && { httpStatus }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    };
    const single = items.length === 1 ? items[0]!.target : undefined;
    const event = entryOf(intent.entry, eventTime, {
      ...slot,
      spanId: newSpan(),
      causedBy,
      ...shared,
      outcome,
      ...(error && { error }),
      ...objectFields(single, { detail }),
    });
    return {
      events: [event],
      recorded: {
        ...base,
        outcome,
        ...(code && { code }),
        objects: { succeeded: 0, failed: outcome === 'failure' ? Math.max(1, items.length) : 0 },
        ...(retryAfterMs !== undefined && { retryAfterMs }),
        verifiable: false,
        sequence: slot.sequence + 1,
      },
    };
  }
  const { result } = end;
  const members = memberCount(items) > 0 ? result.items.length : 0;
  const failed = result.items.filter(({ outcome }) => outcome === 'failure');
  const succeeded = result.items.length - failed.length;
  const outcome = failed.length > 0 && succeeded === 0 ? ('failure' as const) : ('success' as const);
  const code = failed[0]?.error?.code;
  const single = members === 0 ? result.items[0] : undefined;
  const found = result.found ?? [];
  const call = entryOf(intent.entry, eventTime, {
    ...slot,
    spanId: newSpan(),
    causedBy,
    ...shared,
    versions: { ...intent.entry.versions, connector: connectorVersion },
    outcome,
    ...(channel && { channel }),
    ...(outcome === 'failure' && code && { error: { code } }),
    ...(members + found.length > 0 && { count: members + found.length }),
    ...objectFields(single?.target, {
      after: single?.after,
      response: result.response,
      detail: single?.error?.detail,
    }),
  });
  let { sequence } = slot;
  const ofObjects =
    members === 0
      ? []
      : result.items.map((item, position): EventInput => {
          return entryOf(intent.entry, eventTime, {
            id: memberId(slot.id, position),
            sequence: (sequence += 1),
            spanId: newSpan(),
            causedBy: memberId(attempt.id, position),
            ...shared,
            batch: { parent: slot.id, position, size: members },
            outcome: item.outcome,
            ...(item.error && {
              error: { code: item.error.code, ...(item.error.httpStatus && { httpStatus: item.error.httpStatus }) },
            }),
            ...objectFields(item.target, { after: item.after, detail: item.error?.detail }),
          });
        });
  const ofFound = found.map(({ target, values }, position): EventInput =>
    entryOf(intent.entry, eventTime, {
      id: foundId(slot.id, members, position),
      sequence: (sequence += 1),
      spanId: newSpan(),
      causedBy: slot.id,
      ...shared,
      phase: 'observation',
      batch: { parent: slot.id, position, size: found.length },
      ...objectFields(target, { found: values }),
    }),
  );
  return {
    events: [call, ...ofObjects, ...ofFound],
    recorded: {
      ...base,
      outcome,
      ...(code && { code }),
      objects: { succeeded, failed: failed.length },
      verifiable: outcome === 'success' && tool.verify !== undefined,
      sequence: sequence + 1,
    },
  };
};

/** What the outcome that stands in the log says, as the workflow wants to know it. `members`: its objects' entries. */
export const recordedOutcome = (
  { tool }: Prepared,
  step: Step<unknown>,
  entry: Entry,
  members: readonly Entry[],
): RecordedOutcome & { readonly sequence: number } => {
  const outcome = entry.outcome as RecordedOutcome['outcome'];
  const ended = members.filter(({ phase }) => phase === 'outcome');
  const failures = ended.filter((member) => member.outcome === 'failure');
  const code = entry.error?.code ?? failures[0]?.error?.code;
  const bulk = memberCount(step.items) > 0;
  const whole = bulk && ended.length > 0 ? ended.length : Math.max(1, step.items.length);
  const failed = bulk && ended.length > 0 ? failures.length : outcome === 'failure' ? whole : 0;
  const succeeded = outcome === 'success' ? whole - failed : 0;
  return {
    kind: 'recorded',
    entry: entry.id,
    outcome,
    ...(code && { code }),
    objects: { succeeded, failed },
    size: Math.max(1, step.items.length),
    ...(entry.error?.retryAfterMs !== undefined && { retryAfterMs: entry.error.retryAfterMs }),
    settleAfterMs: tool.settle === undefined ? -1 : (tool.settleAfterMs ?? 0),
    verifiable: outcome === 'success' && tool.verify !== undefined,
    sequence: entry.emitter.sequence + (entry.count ?? 0) + 1,
  };
};
