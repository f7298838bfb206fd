/**
 * From an event to an entry: names people and things by pseudonyms, commits to each payload part, and makes the bytes.
 * Nothing is written here but new secrets and new subjects, each before anything rests on it.
 */
import { randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import { commitment, entryBytes, isControlEntry, normaliseTime, skewFlags, type EntryDraft } from '../domain/entry.ts';
import { pseudonym, resourceUrn } from '../domain/pseudonym.ts';
import { retentionClassOf } from '../domain/retention-class.ts';
import { eventLimits, type Entry, type EventInput, type SubjectRef } from '../schema/event.ts';
import type { ExternalIdentity } from '../schema/identity.ts';
import type { InstanceId, SubjectId } from '../schema/ids.ts';
import type { Provenance } from '../schema/taxonomy.ts';
import type { SealedPart } from './boxes.ts';
import type { Refusal } from './errors.ts';
import { monthOf, type DataKeyName } from './keys/derive.ts';
import { secretName, type Secrets } from './keys/secrets.ts';
import type { Subjects } from './subjects.ts';

/** An event whose payload is bytes already: made once, on the way into the queue, so that the queue can be bounded. */
export interface Unsealed {
  readonly event: EventInput;
  readonly provenance: Provenance;
  readonly parts: readonly { readonly name: string; readonly subject: number | undefined; readonly bytes: Buffer }[];
  /** Of all parts together. */
  readonly sizeBytes: number;
}

export const toUnsealed = (event: EventInput, provenance: Provenance): Unsealed => {
  const parts = (event.parts ?? []).map(({ name, subject, content }) => ({ name, subject, bytes: partBytes(content) }));
  return { event, provenance, parts, sizeBytes: parts.reduce((sum, part) => sum + part.bytes.length, 0) };
};

export interface SealedEvent {
  readonly entry: EntryDraft;
  readonly bytes: Buffer;
  readonly isControl: boolean;
  /** Parts with the name of the data key that each goes under; empty where nothing is encrypted. */
  readonly parts: readonly { readonly key: DataKeyName; readonly part: SealedPart }[];
}

export type Sealing = { readonly sealed: SealedEvent } | { readonly refusal: Refusal };

/** What `markLate` may add to an entry: `,"flags":["late"]`. Kept free, so that being late makes no entry too large. */
const lateMarkBytes = 17;
/** `yyyy-mm-ddThh:mm:ss.sssZ`; years beyond 0 to 9999 take more. */
const utcLength = 24;
const timeLengthMax = 64;

/** Bytes of a part's content: RFC 8785 canonical JSON in UTF-8. */
export const partBytes = (content: unknown): Buffer => Buffer.from(canonicalize(content) ?? 'null', 'utf8');

/** The part that keeps the original ids of an entry's actor, resource and channel; one for each subject concerned. */
export const originalsPart = 'originals';

interface PlainPart {
  readonly name: string;
  readonly subject: SubjectId | undefined;
  readonly bytes: Buffer;
}

/** What the events of one batch have in common. */
interface BatchContext {
  readonly nameSecrets: ReadonlyMap<string, Buffer>;
  readonly receivedTime: string;
  readonly receivedMs: number;
  readonly salts: Salts;
}

/** Salts of 32 random bytes, drawn many at a time: a call for each is a tenth of the cost of an append. */
class Salts {
  #pool = Buffer.alloc(0);
  readonly #drawn: number;

  constructor(expected: number) {
    this.#drawn = 32 * Math.max(1, expected);
  }

  next(): Buffer {
    if (this.#pool.length === 0) this.#pool = randomBytes(this.#drawn);
    const salt = this.#pool.subarray(0, 32);
    this.#pool = this.#pool.subarray(32);
    return salt;
  }
}

export class Sealer {
  readonly #instance: InstanceId;
  readonly #secrets: Secrets;
  readonly #subjects: Subjects;

  constructor(instance: InstanceId, secrets: Secrets, subjects: Subjects) {
    this.#instance = instance;
    this.#secrets = secrets;
    this.#subjects = subjects;
  }

  /** One result an event, in order. `receivedMs`: the server's time, the same for the batch. */
  async seal(events: readonly Unsealed[], receivedMs: number): Promise<Sealing[]> {
    const references = events.flatMap(({ event }) => event.subjects ?? []);
    const subjects = references.length > 0 ? await this.#subjects.ensure(references) : [];
    const named = events.some(({ event }) => event.resource ?? event.channel);
    const nameSecrets = named ? await this.#nameSecrets(events, subjects) : new Map<string, Buffer>();
    const receivedTime = new Date(receivedMs).toISOString();
    const salts = new Salts(events.length);
    let first = 0;
    return events.map((one) => {
      const own = subjects.slice(first, (first += one.event.subjects?.length ?? 0));
      return this.#sealOne(one, own, { nameSecrets, receivedTime, receivedMs, salts });
    });
  }

  /** The pseudonymous name of something whose original id is known. */
  async urn(system: EventInput['system'], kind: string, id: string, subject?: SubjectRef): Promise<string | undefined> {
    const owner = subject ? (await this.#subjects.find([subject]))[0] : undefined;
    if (subject && !owner) return undefined;
    const name = owner ? secretName.subjectName(owner) : secretName.instanceName;
    const secret = (await this.#secrets.find([name])).get(name);
    return secret && resourceUrn(system, kind, pseudonym(secret, system, kind, id));
  }

  async #nameSecrets(events: readonly Unsealed[], subjects: readonly SubjectId[]): Promise<Map<string, Buffer>> {
    const names = new Set<string>([secretName.instanceName]);
    let first = 0;
    for (const { event } of events) {
      for (const thing of [event.resource, event.channel]) {
        if (thing?.subject === undefined) continue;
        const subject = subjects[first + thing.subject];
        if (subject) names.add(secretName.subjectName(subject));
      }
      first += event.subjects?.length ?? 0;
    }
    return this.#secrets.ensure([...names]);
  }

  #sealOne(
    { event, provenance, parts, sizeBytes }: Unsealed,
    subjects: readonly SubjectId[],
    { nameSecrets, receivedTime, receivedMs, salts }: BatchContext,
  ): Sealing {
    const positions = [
      event.resource?.subject,
      event.channel?.subject,
      event.identities?.actor?.subject,
      event.identities?.onBehalfOf?.subject,
      ...(event.parts ?? []).map((p) => p.subject),
    ];
    if (positions.some((position) => position !== undefined && position >= subjects.length))
      return refuse('INVALID_EVENT', 'a `subject` points outside of `subjects`');
    const names = parts.map((part) => part.name);
    if (new Set(names).size < names.length || names.some((name) => name.startsWith(originalsPart)))
      return refuse('INVALID_EVENT', `part names must be unique and must not begin with "${originalsPart}"`);

    if (sizeBytes > eventLimits.eventPartsBytesMax)
      return refuse('EVENT_TOO_LARGE', `all parts together are over ${eventLimits.eventPartsBytesMax} bytes`);

    const time = normaliseTime(event.eventTime);
    if (time.eventTime.length !== utcLength || event.eventTime.length > timeLengthMax)
      return refuse('INVALID_EVENT', `eventTime is in UTC years 0000 to 9999 and at most ${timeLengthMax} long`);

    const plain = plainParts(event, parts, subjects);
    const nameOf = (thing: { kind: string; id: string; subject?: number | undefined }): string => {
      const owner = thing.subject === undefined ? undefined : subjects[thing.subject];
      const secret = nameSecrets.get(owner ? secretName.subjectName(owner) : secretName.instanceName)!;
      return resourceUrn(event.system, thing.kind, pseudonym(secret, event.system, thing.kind, thing.id));
    };

    const {
      resource,
      channel,
      identities: _named,
      subjects: _references,
      parts: _content,
      eventTime,
      ...shared
    } = event;
    const retentionClass = retentionClassOf(event.action);
    const month = monthOf(receivedTime);
    const committed: Entry['parts'] = [];
    const sealedParts: { key: DataKeyName; part: SealedPart }[] = [];
    for (const [position, { name, subject, bytes, chunk }] of plain.entries()) {
      const salt = salts.next();
      committed.push({
        name,
        ...(subject && { subject }),
        ...(chunk && { chunk }),
        sizeBytes: bytes.length,
        commitment: commitment(salt, bytes),
      });
      sealedParts.push({
        key: { retentionClass, month, ...(subject && { subject }) },
        part: { event: event.id, position, salt, plaintext: bytes },
      });
    }
    const flags = skewFlags(eventTime, receivedMs);
    const entry: EntryDraft = {
      ...shared,
      instance: this.#instance,
      ...time,
      receivedTime,
      provenance,
      ...(flags.length > 0 && { flags }),
      retentionClass,
      ...(resource && { resource: { kind: resource.kind, urn: nameOf(resource) } }),
      ...(channel && { channel: { kind: channel.kind, urn: nameOf(channel) } }),
      ...(subjects.length > 0 && { subjects: [...new Set(subjects)] }),
      parts: committed,
    };
    const bytes = entryBytes(entry);
    const bytesMax = eventLimits.entryBytesMax - lateMarkBytes;
    if (bytes.length > bytesMax)
      return refuse('ENTRY_TOO_LARGE', `the entry would be ${bytes.length} bytes, over ${bytesMax}`);
    return { sealed: { entry, bytes, isControl: isControlEntry(entry), parts: sealedParts } };
  }
}

/** The same entry, marked as filling a gap that was named before. */
export const markLate = (sealed: SealedEvent): SealedEvent => {
  const entry: EntryDraft = { ...sealed.entry, flags: [...(sealed.entry.flags ?? []), 'late'] };
  return { ...sealed, entry, bytes: entryBytes(entry) };
};

interface Chunk extends PlainPart {
  readonly chunk?: { readonly position: number; readonly of: number };
}

const plainParts = (event: EventInput, parts: Unsealed['parts'], subjects: readonly SubjectId[]): Chunk[] => {
  const owner = (position: number | undefined) => (position === undefined ? undefined : subjects[position]);
  const whole: PlainPart[] = parts.map(({ name, subject, bytes }) => ({ name, subject: owner(subject), bytes }));
  const originals = new Map<SubjectId | undefined, Record<string, string | ExternalIdentity>>();
  const keep = (key: string, value: string | ExternalIdentity, position: number | undefined) => {
    const subject = owner(position);
    originals.set(subject, { ...originals.get(subject), [key]: value });
  };
  if (event.resource) keep('resource', event.resource.id, event.resource.subject);
  if (event.channel) keep('channel', event.channel.id, event.channel.subject);
  for (const key of ['actor', 'onBehalfOf'] as const) {
    const named = event.identities?.[key];
    if (!named) continue;
    const { subject, ...identity } = named;
    keep(key, identity, subject);
  }
  let number = 0;
  for (const [subject, ids] of originals) {
    const name = number === 0 ? originalsPart : `${originalsPart}${number}`;
    whole.push({ name, subject, bytes: partBytes(ids) });
    number += 1;
  }
  return whole.flatMap(cut);
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

const refuse = (code: Refusal['code'], message: string): Sealing => ({ refusal: { code, message } });
