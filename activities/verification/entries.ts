/** The entries of a check and of a repair. What they say in the skeleton is all that an alert needs; the rest is in a part. */
import { spanOf } from '../../domain/action/entryIds.ts';
import { alertsOf, whereOf, type Alert } from '../../domain/verification/alerts.ts';
import {
  checkEmitter,
  type BeginCheckInput,
  type CheckKind,
  type CheckState,
  type FinishCheckInput,
  type RecordRepairInput,
} from '../../domain/verification/contract.ts';
import { totalOf } from '../../domain/verification/tally.ts';
import type { EventInput } from '../../schema/event.ts';
import type { CorrelationId, EventId } from '../../schema/ids.ts';
import { checkResourceKind } from '../../trail/verification/last-checks.ts';
import { platformActor } from '../action/entries.ts';

/** Kind of the resource of a check's entries. */
export const checkResource = (kind: CheckKind) => ({ kind: checkResourceKind(kind), id: 'log' });

/** A check is named by a UUIDv4, whose digits are its correlation id. */
export const correlationOf = (check: string): CorrelationId => check.replaceAll('-', '') as CorrelationId;

interface Numbered {
  readonly id: EventId;
  readonly sequence: number;
  readonly check: string;
  readonly nowMs: number;
}

const base = ({ id, sequence, check, nowMs }: Numbered) => ({
  id,
  correlationId: correlationOf(check),
  spanId: spanOf(id),
  emitter: { id: checkEmitter(check), sequence },
  eventTime: new Date(nowMs).toISOString(),
  actor: platformActor,
  system: 'trailkeeper' as const,
});

export const intentOfCheck = (
  { intent, kind, check, seed, nowMs, requestedBy }: BeginCheckInput,
  size: number,
): EventInput => ({
  ...base({ id: intent, sequence: 1, check, nowMs }),
  ...(requestedBy && { actor: requestedBy }),
  action: 'integrity.check',
  phase: 'intent',
  resource: checkResource(kind),
  parts: [{ name: 'plan', content: { seed, size } }],
});

/** Numbers 2 and on: the alerts, then the outcome. `entries` has an id for each. */
export const endOfCheck = ({ kind, state, entries, nowMs }: FinishCheckInput): EventInput[] => {
  const alerts = alertsOf(state.found);
  const { check, intent } = state;
  const numbered = entries.map((id, position) => base({ id, sequence: position + 2, check, nowMs }));
  return [
    ...alerts.map((alert, position) => ({ ...numbered[position]!, causedBy: intent, ...alertFields(alert) })),
    { ...numbered[alerts.length]!, causedBy: intent, ...outcomeFields(kind, state) },
  ];
};

const alertFields = ({ difference, count }: Alert) => ({
  action: 'integrity.alert' as const,
  phase: 'observation' as const,
  outcome: 'failure' as const,
  error: { code: 'VERIFICATION_FAILED' as const },
  resource: { kind: difference.kind, id: difference.place },
  endpoint: whereOf(difference),
  count,
  parts: [{ name: 'difference', content: JSON.parse(JSON.stringify(difference)) as never }],
});

/** Succeeded is only what was looked at whole and where nothing differed. */
const outcomeFields = (kind: CheckKind, { seed, plan, looked, found, unchecked }: CheckState) => {
  const differences = totalOf(found);
  const failed =
    differences > 0
      ? { outcome: 'failure' as const, error: { code: 'VERIFICATION_FAILED' as const } }
      : { outcome: 'failure' as const, error: { code: 'UNAVAILABLE' as const } };
  const report = { seed, size: plan.size, looked, differences, counts: found.counts, first: found.first, unchecked };
  return {
    action: 'integrity.check' as const,
    phase: 'outcome' as const,
    ...(differences > 0 || unchecked.length > 0 ? failed : { outcome: 'success' as const }),
    resource: checkResource(kind),
    ...(looked.entries > 0 && { count: looked.entries }),
    parts: [{ name: 'report', content: JSON.parse(JSON.stringify(report)) as never }],
  };
};

export const repairEntry = (
  { repair, requestedBy, intent, nowMs, ended }: RecordRepairInput,
  size: number,
): EventInput => {
  const common = { action: 'integrity.repair' as const, resource: { kind: 'projections', id: 'log' } };
  if (!ended)
    return {
      ...base({ id: intent, sequence: 1, check: repair, nowMs }),
      ...common,
      actor: requestedBy,
      phase: 'intent',
      parts: [{ name: 'plan', content: { size } }],
    };
  const { entry, mended } = ended;
  const count = mended.index + mended.tiles + mended.emitters;
  return {
    ...base({ id: entry, sequence: 2, check: repair, nowMs }),
    ...common,
    causedBy: intent,
    phase: 'outcome',
    outcome: 'success',
    ...(count > 0 && { count }),
    parts: [{ name: 'report', content: { mended: { ...mended } } }],
  };
};
