/** The payload of an event as parts of bytes: its content, the original ids that its entry does not name, and chunks. */
import { canonicalText } from '../domain/json.ts';
import { eventLimits, type EventInput } from '../schema/event.ts';
import type { ExternalIdentity } from '../schema/identity.ts';
import type { SubjectId } from '../schema/ids.ts';
import type { Provenance } from '../schema/taxonomy.ts';
import type { Arena } from './arena.ts';

/** An event whose payload is bytes already: made once, on the way into the queue, so that the queue can be bounded. */
export interface Unsealed {
  readonly event: EventInput;
  readonly provenance: Provenance;
  readonly parts: readonly { readonly name: string; readonly subject: number | undefined; readonly bytes: Buffer }[];
  /** Of all parts together. */
  readonly sizeBytes: number;
}

/** `arena`: for what waits in one queue, and leaves it in the order in which it came. */
export const toUnsealed = (event: EventInput, provenance: Provenance, arena: Arena): Unsealed => {
  const parts: Unsealed['parts'][number][] = [];
  let sizeBytes = 0;
  for (const { name, subject, content } of event.parts ?? []) {
    const bytes = arena.utf8(canonicalText(content));
    sizeBytes += bytes.length;
    parts.push({ name, subject, bytes });
  }
  return { event, provenance, parts, sizeBytes };
};

/** The part that keeps the original ids of an entry's actor, resource and channel; one for each subject concerned. */
export const originalsPart = 'originals';

interface PlainPart {
  readonly name: string;
  readonly subject: SubjectId | undefined;
  readonly bytes: Buffer;
}

interface Chunk extends PlainPart {
  readonly chunk?: { readonly position: number; readonly of: number };
}

/** One subject a part; what is longer than a chunk is cut. */
export const plainParts = (
  event: EventInput,
  parts: Unsealed['parts'],
  subjects: readonly SubjectId[],
): readonly Chunk[] => {
  const owner = (position: number | undefined) => (position === undefined ? undefined : subjects[position]);
  const whole: PlainPart[] = [];
  for (const { name, subject, bytes } of parts) whole.push({ name, subject: owner(subject), bytes });
  if (event.resource || event.channel || event.identities) whole.push(...originalParts(event, owner));
  return whole.some(({ bytes }) => bytes.length > eventLimits.chunkBytesMax) ? whole.flatMap(cut) : whole;
};

const originalParts = (
  event: EventInput,
  owner: (position: number | undefined) => SubjectId | undefined,
): PlainPart[] => {
  const originals = new Map<SubjectId | undefined, Record<string, string | ExternalIdentity>>();
  const keep = (key: string, value: string | ExternalIdentity, position: number | undefined) => {
    const subject = owner(position);
    const kept = originals.get(subject);
    if (kept) kept[key] = value;
    else originals.set(subject, { [key]: value });
  };
  if (event.resource) keep('resource', event.resource.id, event.resource.subject);
  if (event.channel) keep('channel', event.channel.id, event.channel.subject);
  for (const key of ['actor', 'onBehalfOf'] as const) {
    const named = event.identities?.[key];
    if (!named) continue;
    const { subject, ...identity } = named;
    keep(key, identity, subject);
  }
  return [...originals].map(([subject, ids], number) => ({
    name: number === 0 ? originalsPart : `${originalsPart}${number}`,
    subject,
    bytes: Buffer.from(canonicalText(ids), 'utf8'),
  }));
};

const cut = (part: PlainPart): Chunk[] => {
  const size = eventLimits.chunkBytesMax;
  if (part.bytes.length <= size) return [part];
  const of = Math.ceil(part.bytes.length / size);
  return Array.from({ length: of }, (_, position) => ({
    ...part,
    bytes: part.bytes.subarray(position * size, (position + 1) * size),
    chunk: { position, of },
  }));
};
