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

/** The order of keys in an entry. Readers must not rely on it; writers keep it so that entries look alike. */
const keyOrder = [
  'v',
  'id',
  'instance',
  'correlationId',
  'spanId',
  'parentSpanId',
  'causedBy',
  'runId',
  'sessionId',
  'emitter',
  'eventTime',
  'eventTimeOriginal',
  'receivedTime',
  'provenance',
  'flags',
  'actor',
  'onBehalfOf',
  'delegation',
  'action',
  'phase',
  'outcome',
  'attempt',
  'system',
  'endpoint',
  'resource',
  'channel',
  'fields',
  'count',
  'batch',
  'error',
  'retentionClass',
  'purpose',
  'authorization',
  'basis',
  'credential',
  'runbook',
  'versions',
  'control',
  'parametersDigest',
  'subjects',
  'parts',
] as const satisfies readonly (keyof Entry)[];
type Missing = Exclude<keyof Entry, (typeof keyOrder)[number]>;
// Fails to compile when the event model gains a field that is not written.
const everyKeyIsWritten: Missing extends never ? true : Missing = true;
void everyKeyIsWritten;

export const entryBytes = (draft: EntryDraft): Buffer => {
  const source: Partial<Record<keyof Entry, unknown>> = draft;
  const ordered: Record<string, unknown> = { v: entryVersion };
  for (const key of keyOrder) {
    const value = source[key];
    if (value !== undefined) ordered[key] = value;
  }
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
