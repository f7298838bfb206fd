/**
 * The event model: what an emitter sends (`reportedEvent`, `platformEvent`) and what is written (`entrySchema`).
 * docs/event-model.md describes it field by field. Unknown fields are refused everywhere.
 */
import { z } from 'zod';
import { controlChange } from './control.ts';
import { externalIdentity } from './identity.ts';
import {
  correlationIdPattern,
  eventIdPattern,
  instanceIdPattern,
  principalIdPattern,
  spanIdPattern,
  subjectIdPattern,
  type CorrelationId,
  type EventId,
  type InstanceId,
  type PrincipalId,
  type RunId,
  type SpanId,
  type SubjectId,
} from './ids.ts';
import {
  actions,
  actorKinds,
  channelKinds,
  entryFlags,
  errorCodes,
  outcomes,
  phases,
  provenances,
  reportableActions,
  retentionClasses,
  systems,
} from './taxonomy.ts';

/** Format version of entries. A reader refuses versions that it does not know. */
export const entryVersion = 1;

/** Limits of one event; each has its own refusal code (docs/errors.md). */
export const eventLimits = {
  entryBytesMax: 65_535,
  /** A longer part is cut into chunks of this size, each with its own commitment. */
  chunkBytesMax: 1_048_576,
  eventPartsBytesMax: 8_388_608,
  partsMax: 32,
  subjectsMax: 64,
  fieldsMax: 256,
  /** Levels of objects and lists within a reported event, the content of its parts included. */
  depthMax: 100,
  horizonMsDefault: 30 * 86_400_000,
  /** From this difference between event time and received time on, the entry is flagged as skewed. */
  skewMs: 300_000,
} as const;

const text = (max: number) => z.string().min(1).max(max);
/** The brand is for the compiler alone: at run time this is a string that matches, and nothing turns it into another. */
const branded = <T extends string>(pattern: RegExp) => z.string().regex(pattern) as unknown as z.ZodType<T, string>;
const label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$/);
const eventId = branded<EventId>(eventIdPattern);
const runId = branded<RunId>(eventIdPattern);
const correlationId = branded<CorrelationId>(correlationIdPattern);
const spanId = branded<SpanId>(spanIdPattern);
const principalId = branded<PrincipalId>(principalIdPattern);
const subjectId = branded<SubjectId>(subjectIdPattern);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const utc = z.iso.datetime({ precision: 3 });

const actor = z.strictObject({
  principal: principalId,
  kind: z.enum(actorKinds),
  /** Where it ran, for example `openai-agents/0.4`. */
  runtime: label.optional(),
});

const versions = z.strictObject({
  agentBuild: label.optional(),
  model: label.optional(),
  promptDigest: sha256.optional(),
  connector: label.optional(),
  /** `name@version` of the field mapping. */
  mapping: label.optional(),
});
export type Versions = z.infer<typeof versions>;

const error = z.strictObject({
  code: z.enum(errorCodes),
  httpStatus: z.int().min(100).max(599).optional(),
  retryAfterMs: z.int().nonnegative().max(86_400_000).optional(),
});

/** The decision of one policy evaluation. `about` says whose permissions were asked. */
const authorization = z.strictObject({
  about: z.enum(['agent', 'user', 'caller']),
  result: z.enum(['allow', 'deny']),
  policySet: label,
  policyVersion: z.int().positive(),
  /** Ids of the policies that determined the result. */
  policies: z.array(text(128)).max(64),
  /** Log index of the last control event that the decision knew. -1: none. */
  controlEpoch: z.int().min(-1),
  /** True where the policy asks for a person's approval. */
  approvalRequired: z.boolean().optional(),
});
export type Authorization = z.infer<typeof authorization>;

/** What an attempt rests on. */
const basis = z.strictObject({
  decisions: z.array(eventId).max(4),
  approval: eventId.optional(),
});

/** The identity assumed in the target system. */
const credential = z.strictObject({ id: label, version: z.int().positive() });

const endpoint = z
  .string()
  .max(256)
  .regex(/^(?:[A-Z]+ )?[A-Za-z0-9/{}._:*-]+$/, 'an endpoint is a template such as "PATCH /contacts/{id}", never a URL');

/** Fields that stand in the entry as they are sent. */
const sharedShape = {
  id: eventId,
  correlationId,
  spanId,
  parentSpanId: spanId.optional(),
  /** The event that caused this one. */
  causedBy: eventId.optional(),
  runId: runId.optional(),
  sessionId: label.optional(),
  /** `sequence` counts from 1 without gaps for each emitter. */
  emitter: z.strictObject({ id: label, sequence: z.int().positive() }),
  actor,
  onBehalfOf: principalId.optional(),
  delegation: label.optional(),
  phase: z.enum(phases),
  outcome: z.enum(outcomes).optional(),
  /** Number of the attempt, from 1. */
  attempt: z.int().positive().max(1000).optional(),
  system: z.enum(systems),
  endpoint: endpoint.optional(),
  /** Names of the fields concerned, never their values. */
  fields: z.array(text(128)).max(eventLimits.fieldsMax).optional(),
  /** How many objects a bulk action concerns. */
  count: z.int().nonnegative().optional(),
  /** One object of a bulk action. */
  batch: z.strictObject({ parent: eventId, position: z.int().nonnegative(), size: z.int().positive() }).optional(),
  error: error.optional(),
  purpose: label.optional(),
  credential: credential.optional(),
  runbook: label.optional(),
  versions: versions.optional(),
  parametersDigest: sha256.optional(),
};

const originalId = text(512);

/** A data subject by an id of the system it lives in, or by our own id. */
const subjectRef = z.union([
  z.strictObject({ system: z.enum(systems), kind: label, id: originalId }),
  z.strictObject({ subject: subjectId }),
]);
export type SubjectRef = z.infer<typeof subjectRef>;

const subjectPosition = z
  .int()
  .nonnegative()
  .max(eventLimits.subjectsMax - 1);

/** `subject` is a position in `subjects`: the original id is then kept under that subject's keys. */
const namedIdentity = externalIdentity.extend({ subject: subjectPosition.optional() });

/** Fields that are turned into something else before they are written. */
const inputShape = {
  ...sharedShape,
  /** RFC 3339 with an offset; without one it is refused. */
  eventTime: z.iso.datetime({ offset: true }),
  /** `subject` is a position in `subjects`: the id is then pseudonymised under that subject's secret. */
  resource: z.strictObject({ kind: label, id: originalId, subject: subjectPosition.optional() }).optional(),
  channel: z
    .strictObject({ kind: z.enum(channelKinds), id: originalId, subject: subjectPosition.optional() })
    .optional(),
  subjects: z.array(subjectRef).max(eventLimits.subjectsMax).optional(),
  parts: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z][A-Za-z0-9_]{0,63}$/),
        content: z.json(),
        subject: subjectPosition.optional(),
      }),
    )
    .max(eventLimits.partsMax)
    .optional(),
};

/**
 * What an agent's own runtime may report: the `recordEvents` mutation. Who acted, and for whom, may be named by an
 * identity of another system; it becomes the principal that it is mapped to before the event goes any further.
 */
export const reportedEvent = z.strictObject({
  ...inputShape,
  actor: z.union([actor, z.strictObject({ ...actor.omit({ principal: true }).shape, external: namedIdentity })]),
  onBehalfOf: z.union([principalId, z.strictObject({ external: namedIdentity })]).optional(),
  action: z.enum(reportableActions),
  phase: z.enum(['intent', 'attempt', 'outcome', 'observation']),
});
export type ReportedEvent = z.infer<typeof reportedEvent>;

/** What the platform writes about its own doings. */
export const platformEvent = z.strictObject({
  ...inputShape,
  action: z.enum(actions),
  /** By which identities the principals were named; kept in the part `originals`, never in the entry. */
  identities: z.strictObject({ actor: namedIdentity.optional(), onBehalfOf: namedIdentity.optional() }).optional(),
  authorization: authorization.optional(),
  basis: basis.optional(),
  control: controlChange.optional(),
});
export type PlatformEvent = z.infer<typeof platformEvent>;

/** An event on its way into the log: principals are named as such. */
export type EventInput = PlatformEvent;

/** `urn:trailkeeper:<system>:<kind>:<pseudonym>`: one form for all systems; the original id is in the part `originals`. */
const urn = z.string().regex(/^urn:trailkeeper:[a-z]+:[A-Za-z0-9._:/@+-]+:[0-9a-f]{32}$/);

const partCommitment = z.strictObject({
  name: z.string().max(64),
  subject: subjectId.optional(),
  /** Present where the part was cut: the chunks of one name, in order, are its plaintext. */
  chunk: z.strictObject({ position: z.int().nonnegative(), of: z.int().min(2) }).optional(),
  /** Length of the plaintext in bytes. */
  sizeBytes: z.int().nonnegative(),
  /** SHA-256(salt || plaintext), the 32-byte salt being inside the encrypted box. */
  commitment: sha256,
});

/** The entry as it stands in the log, after JSON.parse. Keys are written in this order. */
export const entrySchema = z.strictObject({
  v: z.literal(entryVersion),
  instance: branded<InstanceId>(instanceIdPattern),
  ...sharedShape,
  eventTime: utc,
  /** The time as it was sent, where it differs from `eventTime`. */
  eventTimeOriginal: z.string().max(64).optional(),
  receivedTime: utc,
  provenance: z.enum(provenances),
  flags: z.array(z.enum(entryFlags)).optional(),
  action: z.enum(actions),
  retentionClass: z.enum(retentionClasses),
  resource: z.strictObject({ kind: label, urn }).optional(),
  channel: z.strictObject({ kind: z.enum(channelKinds), urn }).optional(),
  authorization: authorization.optional(),
  basis: basis.optional(),
  control: controlChange.optional(),
  subjects: z.array(subjectId).optional(),
  parts: z.array(partCommitment),
});
export type Entry = z.infer<typeof entrySchema>;

/** A part as a reader sees it: its content, or why there is none. */
export type PartContent =
  | { readonly state: 'present'; readonly content: z.infer<ReturnType<typeof z.json>> }
  | { readonly state: 'erased' }
  | { readonly state: 'withheld' };

/** An entry together with its place in the log, and its parts where the reader may see them (by part name). */
export interface RecordedEvent {
  readonly index: number;
  readonly entry: Entry;
  readonly parts?: Readonly<Record<string, PartContent>>;
}
