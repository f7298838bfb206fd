/** Builds the bytes of an entry. They are made once, hashed as they are and never serialised again. */
import { createHash, hash } from 'node:crypto';
import { entryVersion, eventLimits, type Entry } from '../schema/event.ts';
import { controlActions, type Action, type EntryFlag } from '../schema/taxonomy.ts';
import { jsonText, quoted } from './json.ts';

const controlActionSet: ReadonlySet<Action> = new Set<Action>(controlActions);

/** Whether the entry changes control state. The log's control epoch is the index of the last one that does. */
export const isControlEntry = (entry: Pick<Entry, 'action' | 'provenance'>): boolean =>
  entry.provenance === 'platform' && controlActionSet.has(entry.action);

/** Entry without what the log alone gives: format version. */
export type EntryDraft = Omit<Entry, 'v'>;

const text = (key: string, value: string | undefined): string =>
  value === undefined ? '' : `,"${key}":${quoted(value)}`;
const json = (key: string, value: unknown): string => (value === undefined ? '' : `,"${key}":${jsonText(value)}`);

const actorText = ({ principal, kind, runtime }: Entry['actor']): string =>
  `{"principal":${quoted(principal)},"kind":"${kind}"${text('runtime', runtime)}}`;

const partText = ({ name, subject, chunk, sizeBytes, commitment: committed }: Entry['parts'][number]): string =>
  `{"name":${quoted(name)}${text('subject', subject)}${json('chunk', chunk)},"sizeBytes":${sizeBytes},"commitment":"${committed}"}`;

/**
 * The text of an entry, whose UTF-8 bytes stand in the log. The order of keys is that of the event model in all of them, so that entries look alike; readers
 * must not rely on it. One template: `JSON.stringify` of the same takes three times as long. A test fails when the event
 * model gains a field that is not written here.
 */
export const entryText = (s: EntryDraft): string =>
  `{"v":${entryVersion},"id":"${s.id}","instance":"${s.instance}","correlationId":"${s.correlationId}","spanId":"${s.spanId}"` +
  text('parentSpanId', s.parentSpanId) +
  text('causedBy', s.causedBy) +
  text('runId', s.runId) +
  text('sessionId', s.sessionId) +
  `,"emitter":{"id":${quoted(s.emitter.id)},"sequence":${s.emitter.sequence}},"eventTime":"${s.eventTime}"` +
  text('eventTimeOriginal', s.eventTimeOriginal) +
  `,"receivedTime":"${s.receivedTime}","provenance":"${s.provenance}"` +
  json('flags', s.flags) +
  `,"actor":${actorText(s.actor)}` +
  text('onBehalfOf', s.onBehalfOf) +
  text('delegation', s.delegation) +
  `,"action":"${s.action}","phase":"${s.phase}"` +
  text('outcome', s.outcome) +
  json('attempt', s.attempt) +
  `,"system":"${s.system}"` +
  text('endpoint', s.endpoint) +
  json('resource', s.resource) +
  json('channel', s.channel) +
  json('fields', s.fields) +
  json('count', s.count) +
  json('batch', s.batch) +
  json('error', s.error) +
  `,"retentionClass":"${s.retentionClass}"` +
  text('purpose', s.purpose) +
  json('authorization', s.authorization) +
  json('basis', s.basis) +
  json('credential', s.credential) +
  text('runbook', s.runbook) +
  json('versions', s.versions) +
  json('control', s.control) +
  text('parametersDigest', s.parametersDigest) +
  json('subjects', s.subjects) +
  `,"parts":[${s.parts.map(partText).join(',')}]}`;

/** UTC with milliseconds as `toISOString` writes it, on a day that every month has. */
const plainUtc = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** Event time in UTC with milliseconds, and the original where it was written otherwise. */
export const normaliseTime = (sent: string): { eventTime: string; eventTimeOriginal?: string } => {
  if (plainUtc.test(sent)) return { eventTime: sent };
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
export const commitment = (salt: Uint8Array, plaintext: Uint8Array): string => {
  const length = salt.length + plaintext.length;
  if (length > committed.length) return createHash('sha256').update(salt).update(plaintext).digest('hex');
  committed.set(salt);
  committed.set(plaintext, salt.length);
  return hash('sha256', committed.subarray(0, length), 'hex');
};

// Scratch space is safe to share: what uses it runs to its end without giving up the thread.
const committed = Buffer.alloc(16_384);

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
