/** The Event type: an entry as it stands in the log, and its payload where it is asked for. */
import type { RecordedEvent } from '../schema/event.ts';
import type { Resolvers } from '../schema/generated/resolvers.ts';
import type { PartOfEvent } from '../schema/views.ts';
import type { RequestContext } from './requestContext.ts';

/** GraphQL names have no hyphens. */
const flagNames = { 'skew-future': 'skew_future', 'skew-past': 'skew_past', late: 'late' } as const;

/** The chunks of one name are one part. */
const partsOf = (event: RecordedEvent): PartOfEvent[] =>
  [...new Set(event.entry.parts.map(({ name }) => name))].map((name) => ({ event, name }));

const committed = ({ event, name }: PartOfEvent) => event.entry.parts.filter((part) => part.name === name);

export const eventResolvers: Resolvers<RequestContext> = {
  Event: {
    index: ({ index }) => index,
    id: ({ entry }) => entry.id,
    correlationId: ({ entry }) => entry.correlationId,
    spanId: ({ entry }) => entry.spanId,
    parentSpanId: ({ entry }) => entry.parentSpanId ?? null,
    causedBy: ({ entry }) => entry.causedBy ?? null,
    runId: ({ entry }) => entry.runId ?? null,
    sessionId: ({ entry }) => entry.sessionId ?? null,
    emitter: ({ entry }) => entry.emitter,
    eventTime: ({ entry }) => entry.eventTime,
    eventTimeOriginal: ({ entry }) => entry.eventTimeOriginal ?? null,
    receivedTime: ({ entry }) => entry.receivedTime,
    provenance: ({ entry }) => entry.provenance,
    flags: ({ entry }) => (entry.flags ?? []).map((flag) => flagNames[flag]),
    actor: ({ entry: { actor } }) => ({ ...actor, runtime: actor.runtime ?? null }),
    onBehalfOf: ({ entry }) => entry.onBehalfOf ?? null,
    delegation: ({ entry }) => entry.delegation ?? null,
    action: ({ entry }) => entry.action,
    phase: ({ entry }) => entry.phase,
    outcome: ({ entry }) => entry.outcome ?? null,
    attempt: ({ entry }) => entry.attempt ?? null,
    system: ({ entry }) => entry.system,
    endpoint: ({ entry }) => entry.endpoint ?? null,
    resource: ({ entry }) => entry.resource ?? null,
    channel: ({ entry }) => entry.channel ?? null,
    fields: ({ entry }) => entry.fields ?? [],
    count: ({ entry }) => entry.count ?? null,
    batch: ({ entry }) => entry.batch ?? null,
    error: ({ entry: { error } }) =>
      error ? { ...error, httpStatus: error.httpStatus ?? null, retryAfterMs: error.retryAfterMs ?? null } : null,
    retentionClass: ({ entry }) => entry.retentionClass,
    purpose: ({ entry }) => entry.purpose ?? null,
    credential: ({ entry }) => entry.credential ?? null,
    runbook: ({ entry }) => entry.runbook ?? null,
    versions: ({ entry: { versions } }) =>
      versions
        ? {
            agentBuild: versions.agentBuild ?? null,
            model: versions.model ?? null,
            promptDigest: versions.promptDigest ?? null,
            connector: versions.connector ?? null,
            mapping: versions.mapping ?? null,
          }
        : null,
    parametersDigest: ({ entry }) => entry.parametersDigest ?? null,
    authorization: ({ entry: { authorization } }) =>
      authorization ? { ...authorization, approvalRequired: authorization.approvalRequired ?? null } : null,
    basis: ({ entry: { basis } }) => (basis ? { ...basis, approval: basis.approval ?? null } : null),
    control: ({ entry }) => entry.control ?? null,
    subjects: ({ entry }) => entry.subjects ?? [],
    parts: partsOf,
  },
  Part: {
    name: ({ name }) => name,
    subject: (part) => committed(part)[0]?.subject ?? null,
    sizeBytes: (part) => committed(part).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    commitments: (part) => committed(part).map(({ commitment }) => commitment),
    state: async ({ event, name }, _args, { payloads }) => (await payloads.partsOf(event))[name]?.state ?? 'withheld',
    content: async ({ event, name }, _args, { payloads }) => {
      const part = (await payloads.partsOf(event))[name];
      return part?.state === 'present' ? part.content : null;
    },
  },
};
