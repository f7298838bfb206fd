/** Builds the bytes of an entry. They are made once, hashed as they are and never serialised again. */
import { createHash } from 'node:crypto';
import { entryVersion, eventLimits, type Entry } from '../schema/event.ts';
import { controlActions, type Action, type EntryFlag } from '../schema/taxonomy.ts';

const controlActionSet: ReadonlySet<Action> = new Set<Action>(controlActions);

/** Whether the entry changes control state. The log's control epoch is the index of the last one that does. */
export const isControlEntry = (entry: Pick<Entry, 'action' | 'provenance'>): boolean =>
  entry.provenance === 'platform' && controlActionSet.has(entry.action);

/** Entry without what the log alone gives: format version. */
export type EntryDraft = Omit<Entry, 'v'>;

/**
 * The bytes of an entry. The order of keys is the same in all of them, so that entries look alike; readers must not rely
 * on it. One literal: taking the keys one by one from a list took twice the time.
 */
export const entryBytes = (draft: EntryDraft): Buffer => {
  const s: Partial<Record<keyof Entry, unknown>> = draft;
  const ordered = {
    v: entryVersion,
    id: s.id,
    instance: s.instance,
    correlationId: s.correlationId,
    spanId: s.spanId,
    parentSpanId: s.parentSpanId,
    causedBy: s.causedBy,
    runId: s.runId,
    sessionId: s.sessionId,
    emitter: s.emitter,
    eventTime: s.eventTime,
    eventTimeOriginal: s.eventTimeOriginal,
    receivedTime: s.receivedTime,
    provenance: s.provenance,
    flags: s.flags,
    actor: s.actor,
    onBehalfOf: s.onBehalfOf,
    delegation: s.delegation,
    action: s.action,
    phase: s.phase,
    outcome: s.outcome,
    attempt: s.attempt,
    system: s.system,
    endpoint: s.endpoint,
    resource: s.resource,
    channel: s.channel,
    fields: s.fields,
    count: s.count,
    batch: s.batch,
    error: s.error,
    retentionClass: s.retentionClass,
    purpose: s.purpose,
    authorization: s.authorization,
    basis: s.basis,
    credential: s.credential,
    runbook: s.runbook,
    versions: s.versions,
    control: s.control,
    parametersDigest: s.parametersDigest,
    subjects: s.subjects,
    parts: s.parts,
    // Fails to compile when the event model gains a field that is not written.
  } satisfies Record<keyof Entry, unknown>;
  return Buffer.from(JSON.stringify(ordered), 'utf8');
};

/** Event time in UTC with milliseconds, and the original where it was written otherwise. */
export const normaliseTime = (sent: string): { eventTime: string; eventTimeOriginal?: string } => {
  const eventTime = new Date(sent).toISOString();
  return eventTime === sent ? { eventTime } : { eventTime, eventTimeOriginal: sent };
};

export const skewFlags = (eventTime: string, receivedMs: number): EntryFlag[] => {
  const ahead = Date.parse(eventTime) - receivedMs;
  if (ahead > eventLimits.skewMs) return ['skew-future'];
  if (ahead < -eventLimits.skewMs) return ['skew-past'];
  return [];
};

/** The commitment of a part: SHA-256(salt || plaintext) in hex. */
export const commitment = (salt: Uint8Array, plaintext: Uint8Array): string =>
  createHash('sha256').update(salt).update(plaintext).digest('hex');

/**
 * What an entry says apart from what the server adds (received time, flags, class, salted commitments). Two entries of
 * one id with the same fingerprint differ at most in the content of their parts.
 */
export const entryFingerprint = (entry: EntryDraft): string => {
  const { receivedTime: _t, flags: _f, retentionClass: _c, parts, ...said } = entry;
  const { v: _v, ...rest } = said as typeof said & { v?: number };
  const shape = parts.map((p) => [p.name, p.subject, p.chunk?.position, p.sizeBytes]);
  return JSON.stringify(sortKeys([rest, shape]));
};

const sortKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== 'object') return value;
  const sorted: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    if (inner !== undefined) sorted[key] = sortKeys(inner);
  return sorted;
};
