/** How the entries of an action look: what they have in common, and the group of entries about a call's objects. */
import { randomBytes } from 'node:crypto';
import { actionEmitter, spanOf } from '../../domain/action/entryIds.ts';
import { eventIdTimeMs, type EventId, type PrincipalId, type SpanId } from '../../schema/ids.ts';
import { eventLimits, type Entry, type EventInput } from '../../schema/event.ts';
import { derivedEventId } from '../../store/derived-id.ts';
import type { Json, StepItem, Target } from '../connectors/connector.ts';
import { activityTrace } from '../trace.ts';

export type EntryFields = Omit<EventInput, 'id' | 'correlationId' | 'emitter' | 'eventTime' | 'actor'> & {
  readonly id: EventId;
  readonly sequence: number;
  readonly actor?: EventInput['actor'];
};

/** The platform itself, as the actor of its own doings. */
export const platformActor = { principal: 'platform' as PrincipalId, kind: 'platform' } as const;

/** Entry of the intent's action, whose actor is the agent unless another is given. */
export const entryOf = (intent: Entry, eventTime: string, { sequence, ...fields }: EntryFields): EventInput => ({
  correlationId: intent.correlationId,
  parentSpanId: activityTrace()?.spanId ?? intent.spanId,
  ...(intent.runId && { runId: intent.runId }),
  ...(intent.sessionId && { sessionId: intent.sessionId }),
  emitter: { id: actionEmitter(intent.id), sequence },
  eventTime,
  actor: intent.actor,
  ...(intent.onBehalfOf && { onBehalfOf: intent.onBehalfOf }),
  ...(intent.delegation && { delegation: intent.delegation }),
  ...(intent.purpose && { purpose: intent.purpose }),
  ...fields,
});

/** For entries that a second execution is to write in the same way. */
export { spanOf };

/** For entries by which an execution knows its own. */
export const newSpan = (): SpanId => randomBytes(8).toString('hex') as SpanId;

/** Ids of entries that belong to another: the same for every execution. */
export const memberId = (parent: EventId, position: number): EventId =>
  derivedEventId(eventIdTimeMs(parent), `${parent}/${position}`);

type Part = NonNullable<EventInput['parts']>[number];

/** Payload of an entry about one object: in parts of that object's subject, where it is about somebody. */
export const objectFields = (
  target: Target | undefined,
  contents: Readonly<Record<string, Json | undefined>>,
): Pick<EventInput, 'resource' | 'subjects' | 'parts'> => {
  const subject = target?.subject === undefined ? {} : { subject: 0 };
  const parts = Object.entries(contents).flatMap(([name, content]): Part[] =>
    content === undefined ? [] : [{ name, content: fitting(content), ...subject }],
  );
  return {
    ...(target && { resource: { kind: target.kind, id: target.id, ...subject } }),
    ...(target?.subject && { subjects: [target.subject] }),
    ...(parts.length > 0 && { parts }),
  };
};

/** A part that would make the event too large is replaced by its size: what happened is recorded in any case. */
const partBytesMax = Math.floor(eventLimits.eventPartsBytesMax / 4);
const fitting = (content: Json): Json => {
  const sizeBytes = Buffer.byteLength(JSON.stringify(content));
  return sizeBytes <= partBytesMax ? content : { omitted: 'too large', sizeBytes };
};

/** Names of fields as an entry can hold them. */
export const recordedFields = (fields: readonly string[]): string[] =>
  [...new Set(fields)].filter((name) => name.length > 0 && name.length <= 128).slice(0, eventLimits.fieldsMax);

/** Objects get entries of their own where a call concerns several; one object stands in the call's own entry. */
export const memberCount = (items: readonly StepItem[]): number => (items.length > 1 ? items.length : 0);
