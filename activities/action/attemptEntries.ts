/** The entries that announce a vendor call: one for the call, and one for each object where it concerns several. */
import type { AttemptInput } from '../../domain/action/contract.ts';
import type { EventInput } from '../../schema/event.ts';
import type { EventId, SpanId } from '../../schema/ids.ts';
import type { Json, Step } from '../connectors/connector.ts';
import { entryOf, memberCount, memberId, newSpan, objectFields, recordedFields } from './entries.ts';
import type { Prepared } from './prepare.ts';

/**
 * Whoever wrote the last entry of the group, and nobody else, may make the call: the log gives it out once. What it
 * needs (the values before) then stands in the log completely.
 */
export const permitId = (attempt: EventId, step: Step<unknown>): EventId => {
  const members = memberCount(step.items);
  return members === 0 ? attempt : memberId(attempt, members - 1);
};

/** First number after the group. */
export const afterAttempt = (sequence: number, step: Step<unknown>): number => sequence + 1 + memberCount(step.items);

/** `before` undefined: the values could not be read, or the tool has none. */
export const attemptGroup = (
  { intent, tool, connectorVersion, config, mapping }: Prepared,
  step: Step<unknown>,
  { slot, attempt, decisions, approval }: AttemptInput,
  eventTime: string,
  before: readonly (Json | null)[] | undefined,
  spanId: SpanId,
): readonly EventInput[] => {
  const members = memberCount(step.items);
  const shared = {
    action: tool.action,
    system: tool.system,
    endpoint: tool.endpoint,
    phase: 'attempt' as const,
    attempt,
    credential: { id: config.credential, version: config.credentialVersion },
    versions: {
      ...intent.entry.versions,
      connector: connectorVersion,
      ...(mapping && { mapping: `${mapping.name}@${mapping.version}` }),
    },
  };
  const single = members === 0 ? step.items[0] : undefined;
  const call = entryOf(intent.entry, eventTime, {
    ...slot,
    spanId,
    causedBy: intent.entry.id,
    ...shared,
    basis: { decisions: [...decisions], ...(approval && { approval: approval.entry }) },
    fields: recordedFields(step.fields),
    ...(step.channel && { channel: step.channel }),
    ...(members > 0 && { count: members }),
    ...objectFields(single?.target, {
      before: members === 0 ? (before?.[0] ?? undefined) : undefined,
      requested: single?.requested,
      sent: single?.sent,
    }),
  });
  const objects =
    members === 0
      ? []
      : step.items.map((item, position): EventInput =>
          entryOf(intent.entry, eventTime, {
            id: memberId(slot.id, position),
            sequence: slot.sequence + 1 + position,
            spanId: newSpan(),
            parentSpanId: spanId,
            causedBy: slot.id,
            ...shared,
            batch: { parent: slot.id, position, size: members },
            ...(isObject(item.sent) && { fields: recordedFields(Object.keys(item.sent)) }),
            ...objectFields(item.target, {
              before: before?.[position] ?? undefined,
              requested: item.requested,
              sent: item.sent,
            }),
          }),
        );
  return [call, ...objects];
};

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
