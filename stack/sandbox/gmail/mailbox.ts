/** One Gmail mailbox of the stand-in: messages, threads and drafts. */
import { createHash } from 'node:crypto';
import { changedFields, type ChangeLog } from '../changeLog.ts';
import { isRecord, type JsonRecord, type JsonValue } from '../standIn.ts';
import { addressesIn, headerOf, parseMime, textOf, type Part } from './mime.ts';

export interface StoredMessage {
  readonly id: string;
  readonly threadId: string;
  readonly labelIds: readonly string[];
  /** Milliseconds since 1970, as Gmail gives it. */
  readonly internalDate: string;
  /** The message as Gmail keeps it. */
  readonly mime: string;
}

export interface StoredDraft {
  readonly id: string;
  readonly messageId: string;
}

export class Mailbox {
  readonly address: string;
  readonly #changes: ChangeLog;
  readonly #now: () => Date;
  readonly #keepsMessageId: boolean;
  #messages = new Map<string, StoredMessage>();
  #drafts = new Map<string, StoredDraft>();
  #serial = 0;

  constructor(address: string, options: { changes: ChangeLog; now: () => Date; keepsMessageId: boolean }) {
    this.address = address;
    this.#changes = options.changes;
    this.#now = options.now;
    this.#keepsMessageId = options.keepsMessageId;
  }

  #newId(kind: string): string {
    this.#serial += 1;
    const digest = createHash('sha256').update(`${this.address}/${kind}/${this.#serial}`).digest('hex');
    return `19${digest.slice(0, 14)}`;
  }

  find(id: string): StoredMessage | undefined {
    return this.#messages.get(id);
  }

  /** Newest first, as users.messages.list gives them. */
  all(): readonly StoredMessage[] {
    return [...this.#messages.values()].toReversed();
  }

  thread(threadId: string): readonly StoredMessage[] {
    return [...this.#messages.values()].filter((message) => message.threadId === threadId);
  }

  drafts(): readonly StoredDraft[] {
    return [...this.#drafts.values()].toReversed();
  }

  draft(id: string): StoredDraft | undefined {
    return this.#drafts.get(id);
  }

  /**
   * Gmail writes a Message-ID of its own over the one that was sent by the API, and keeps nothing of the old one
   * (observed: github.com/FlowCrypt/flowcrypt-browser issues 4273 and 4876); other headers stay.
   */
  #asKept(mime: string, id: string): string {
    const end = /\r?\n\r?\n/.exec(mime)?.index ?? mime.length;
    let lines = mime
      .slice(0, end)
      .replace(/\r?\n[ \t]+/g, ' ')
      .split(/\r?\n/);
    if (!this.#keepsMessageId || !lines.some((line) => /^message-id:/i.test(line))) {
      lines = lines.filter((line) => !/^message-id:/i.test(line));
      lines.push(`Message-ID: <CA+${id}@mail.gmail.com>`);
    }
    if (!lines.some((line) => /^from:/i.test(line))) lines.unshift(`From: ${this.address}`);
    if (!lines.some((line) => /^date:/i.test(line))) lines.push(`Date: ${this.#now().toUTCString()}`);
    return lines.join('\r\n') + mime.slice(end);
  }

  add(
    mime: string,
    options: { threadId?: string | undefined; labelIds: readonly string[]; by: string },
  ): StoredMessage {
    const id = this.#newId('message');
    const message: StoredMessage = {
      id,
      threadId: options.threadId ?? id,
      labelIds: [...options.labelIds],
      internalDate: String(this.#now().getTime()),
      mime: this.#asKept(mime, id),
    };
    this.#messages.set(id, message);
    this.#log('create', 'message', id, {}, described(message), options.by);
    return message;
  }

  addDraft(mime: string, options: { threadId?: string | undefined; by: string }): StoredDraft {
    const message = this.add(mime, { ...options, labelIds: ['DRAFT'] });
    const draft = { id: `r${this.#newId('draft')}`, messageId: message.id };
    this.#drafts.set(draft.id, draft);
    return draft;
  }

  deleteDraft(id: string, by: string): boolean {
    const draft = this.#drafts.get(id);
    if (draft === undefined) return false;
    const message = this.#messages.get(draft.messageId)!;
    this.#drafts.delete(id);
    this.#messages.delete(draft.messageId);
    this.#log('delete', 'message', draft.messageId, described(message), {}, by);
    return true;
  }

  #log(operation: 'create' | 'delete', kind: string, id: string, from: JsonRecord, to: JsonRecord, by: string): void {
    this.#changes.record({ by, operation, kind, id, fields: changedFields(from, to) });
  }

  snapshot(): JsonRecord {
    return {
      serial: this.#serial,
      messages: [...this.#messages.values()] as unknown as JsonValue,
      drafts: [...this.#drafts.values()] as unknown as JsonValue,
    };
  }

  restore(snapshot: JsonRecord): void {
    this.#serial = Number(snapshot['serial'] ?? 0);
    this.#messages = new Map(list(snapshot['messages']).map((m) => [m['id'] as string, m as never]));
    this.#drafts = new Map(list(snapshot['drafts']).map((d) => [d['id'] as string, d as never]));
  }
}

const list = (value: JsonValue | undefined): JsonRecord[] => (Array.isArray(value) ? value.filter(isRecord) : []);

/** What the change log keeps of a message. */
function described(message: StoredMessage): JsonRecord {
  const part: Part = parseMime(message.mime);
  return {
    threadId: message.threadId,
    labelIds: [...message.labelIds],
    to: [...addressesIn(headerOf(part.headers, 'to'))],
    subject: headerOf(part.headers, 'subject') ?? null,
    text: textOf(part),
    headers: Object.fromEntries(
      part.headers.filter((h) => /^x-trailkeeper-/i.test(h.name)).map((h) => [h.name, h.value]),
    ),
  };
}
