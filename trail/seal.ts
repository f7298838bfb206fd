/**
 * From an event to an entry: names people and things by pseudonyms, commits to each payload part, and makes the bytes.
 * Nothing is written here but new secrets and new subjects, each before anything rests on it.
 */
import { randomBytes } from 'node:crypto';
import { commitment, entryText, isControlEntry, normaliseTime, skewFlags, type EntryDraft } from '../domain/entry.ts';
import { pseudonym, resourceUrn } from '../domain/pseudonym.ts';
import { retentionClassOf } from '../domain/retention-class.ts';
import { eventLimits, type Entry, type EventInput, type SubjectRef } from '../schema/event.ts';
import type { InstanceId, SubjectId } from '../schema/ids.ts';
import type { RetentionClass } from '../schema/taxonomy.ts';
import { Arena } from './arena.ts';
import type { SealedPart } from './boxes.ts';
import type { Refusal } from './errors.ts';
import { monthOf, type ClassMonth } from './keys/derive.ts';
import { secretName, type Secrets } from './keys/secrets.ts';
import { originalsPart, plainParts, type Unsealed } from './plain-parts.ts';
import type { Subjects } from './subjects.ts';

export interface SealedEvent {
  readonly entry: EntryDraft;
  readonly bytes: Buffer;
  readonly isControl: boolean;
  /** Of every part. The same object for all events of a batch that have this class. */
  readonly of: ClassMonth;
  /** Empty where nothing is encrypted. */
  readonly parts: readonly SealedPart[];
}

export type Sealing = { readonly sealed: SealedEvent } | { readonly refusal: Refusal };

/** What `markLate` may add to an entry: `,"flags":["late"]`. Kept free, so that being late makes no entry too large. */
const lateMarkBytes = 17;
/** `yyyy-mm-ddThh:mm:ss.sssZ`; years beyond 0 to 9999 take more. */
const utcLength = 24;
const timeLengthMax = 64;

const none: readonly never[] = [];

/** What the events of one batch have in common. */
interface BatchContext {
  readonly nameSecrets: ReadonlyMap<string, Buffer>;
  readonly receivedTime: string;
  readonly receivedMs: number;
  readonly month: string;
  readonly classMonths: Map<RetentionClass, ClassMonth>;
  readonly salts: Salts;
}

/** Salts of 32 random bytes, drawn many at a time: a call for each is a tenth of the cost of an append. */
class Salts {
  #pool = Buffer.alloc(0);
  #at = 0;
  readonly #drawn: number;

  constructor(expected: number) {
    this.#drawn = 32 * Math.max(1, expected);
  }

  next(): Buffer {
    if (this.#at === this.#pool.length) {
      this.#pool = randomBytes(this.#drawn);
      this.#at = 0;
    }
    return this.#pool.subarray(this.#at, (this.#at += 32));
  }
}

export class Sealer {
  readonly #instance: InstanceId;
  readonly #secrets: Secrets;
  readonly #subjects: Subjects;
  readonly #entries = new Arena();

  constructor(instance: InstanceId, secrets: Secrets, subjects: Subjects) {
    this.#instance = instance;
    this.#secrets = secrets;
    this.#subjects = subjects;
  }

  /** One result an event, in order. `receivedMs`: the server's time, the same for the batch. */
  async seal(events: readonly Unsealed[], receivedMs: number): Promise<Sealing[]> {
    const references = events.flatMap(({ event }): readonly SubjectRef[] => event.subjects ?? none);
    const subjects = references.length > 0 ? await this.#subjects.ensure(references) : [];
    const named = events.some(({ event }) => event.resource ?? event.channel);
    const nameSecrets = named ? await this.#nameSecrets(events, subjects) : new Map<string, Buffer>();
    const receivedTime = new Date(receivedMs).toISOString();
    const context: BatchContext = {
      nameSecrets,
      receivedTime,
      receivedMs,
      month: monthOf(receivedTime),
      classMonths: new Map(),
      salts: new Salts(events.length),
    };
    let first = 0;
    return events.map((one) => {
      const count = one.event.subjects?.length ?? 0;
      const own = count === 0 ? none : subjects.slice(first, first + count);
      first += count;
      return this.#sealOne(one, own, context);
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
    context: BatchContext,
  ): Sealing {
    const { receivedTime, receivedMs, salts } = context;
    const fault = subjectFault(event, parts, subjects.length) ?? namesFault(parts);
    if (fault !== undefined) return refuse('INVALID_EVENT', fault);
    if (sizeBytes > eventLimits.eventPartsBytesMax)
      return refuse('EVENT_TOO_LARGE', `all parts together are over ${eventLimits.eventPartsBytesMax} bytes`);
    const { eventTime, eventTimeOriginal } = normaliseTime(event.eventTime);
    if (eventTime.length !== utcLength || event.eventTime.length > timeLengthMax)
      return refuse('INVALID_EVENT', `eventTime is in UTC years 0000 to 9999 and at most ${timeLengthMax} long`);

    const retentionClass = retentionClassOf(event.action);
    const committed: Entry['parts'] = [];
    const sealedParts: SealedPart[] = [];
    for (const { name, subject, bytes, chunk } of plainParts(event, parts, subjects)) {
      const salt = salts.next();
      sealedParts.push({ event: event.id, subject, position: committed.length, salt, plaintext: bytes });
      committed.push({
        name,
        ...(subject !== undefined && { subject }),
        ...(chunk && { chunk }),
        sizeBytes: bytes.length,
        commitment: commitment(salt, bytes),
      });
    }
    const flags = skewFlags(eventTime, receivedMs);
    // One literal, its keys always the same: taking the event's own along by spreading them cost as much as all the rest.
    const entry: EntryDraft = {
      id: event.id,
      instance: this.#instance,
      correlationId: event.correlationId,
      spanId: event.spanId,
      parentSpanId: event.parentSpanId,
      causedBy: event.causedBy,
      runId: event.runId,
      sessionId: event.sessionId,
      emitter: event.emitter,
      eventTime,
      eventTimeOriginal,
      receivedTime,
      provenance,
      flags: flags.length > 0 ? flags : undefined,
      actor: event.actor,
      onBehalfOf: event.onBehalfOf,
      delegation: event.delegation,
      action: event.action,
      phase: event.phase,
      outcome: event.outcome,
      attempt: event.attempt,
      system: event.system,
      endpoint: event.endpoint,
      resource: this.#named(event, event.resource, subjects, context),
      channel: this.#named(event, event.channel, subjects, context),
      fields: event.fields,
      count: event.count,
      batch: event.batch,
      error: event.error,
      retentionClass,
      purpose: event.purpose,
      authorization: event.authorization,
      basis: event.basis,
      credential: event.credential,
      runbook: event.runbook,
      versions: event.versions,
      control: event.control,
      parametersDigest: event.parametersDigest,
      subjects: subjects.length > 0 ? [...new Set(subjects)] : undefined,
      parts: committed,
    } satisfies Record<keyof EntryDraft, unknown>;
    const bytes = this.#entries.utf8(entryText(entry));
    const bytesMax = eventLimits.entryBytesMax - lateMarkBytes;
    if (bytes.length > bytesMax)
      return refuse('ENTRY_TOO_LARGE', `the entry would be ${bytes.length} bytes, over ${bytesMax}`);
    const of = classMonthIn(context, retentionClass);
    return { sealed: { entry, bytes, isControl: isControlEntry(entry), of, parts: sealedParts } };
  }

  /** A thing by its kind and pseudonym. */
  #named<Kind extends string>(
    { system }: EventInput,
    thing: { kind: Kind; id: string; subject?: number | undefined } | undefined,
    subjects: readonly SubjectId[],
    { nameSecrets }: BatchContext,
  ): { kind: Kind; urn: string } | undefined {
    if (!thing) return undefined;
    const owner = thing.subject === undefined ? undefined : subjects[thing.subject];
    const secret = nameSecrets.get(owner ? secretName.subjectName(owner) : secretName.instanceName)!;
    return { kind: thing.kind, urn: resourceUrn(system, thing.kind, pseudonym(secret, system, thing.kind, thing.id)) };
  }
}

const classMonthIn = ({ classMonths, month }: BatchContext, retentionClass: RetentionClass): ClassMonth => {
  let of = classMonths.get(retentionClass);
  if (of === undefined) classMonths.set(retentionClass, (of = { retentionClass, month }));
  return of;
};

const subjectFault = (
  { resource, channel, identities }: EventInput,
  parts: Unsealed['parts'],
  count: number,
): string | undefined => {
  let last = Math.max(
    resource?.subject ?? -1,
    channel?.subject ?? -1,
    identities?.actor?.subject ?? -1,
    identities?.onBehalfOf?.subject ?? -1,
  );
  for (const { subject } of parts) if (subject !== undefined && subject > last) last = subject;
  return last >= count ? 'a `subject` points outside of `subjects`' : undefined;
};

const namesFault = (parts: Unsealed['parts']): string | undefined => {
  let names: Set<string> | undefined;
  for (const { name } of parts) {
    if (parts.length > 1) {
      names ??= new Set();
      if (names.has(name)) return `the part name ${name} stands twice; names must be unique`;
      names.add(name);
    }
    if (name.startsWith(originalsPart)) return `part names must not begin with "${originalsPart}"`;
  }
  return undefined;
};

/** The same entry, marked as filling a gap that was named before. */
export const markLate = (sealed: SealedEvent): SealedEvent => {
  const entry: EntryDraft = { ...sealed.entry, flags: [...(sealed.entry.flags ?? []), 'late'] };
  return { ...sealed, entry, bytes: Buffer.from(entryText(entry), 'utf8') };
};

const refuse = (code: Refusal['code'], message: string): Sealing => ({ refusal: { code, message } });
