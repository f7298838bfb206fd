/**
 * Stand-in for the Gmail API v1. It is not Gmail. Behaviour from
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1 (methods named at each call); errors from
 * https://developers.google.com/workspace/gmail/api/guides/handle-errors
 */
import { ChangeLog } from '../changeLog.ts';
import {
  isRecord,
  jsonBody,
  Refusal,
  type IncomingCall,
  type JsonRecord,
  type JsonValue,
  type OutgoingAnswer,
  type RoutedCall,
  type StandIn,
} from '../standIn.ts';
import { Mailbox, type StoredMessage } from './mailbox.ts';
import { addressesIn, headerOf, MalformedMime, parseMime, payloadOf, textOf, type Part } from './mime.ts';
import { parseSearch } from './search.ts';

/** Short names of the OAuth scopes `https://www.googleapis.com/auth/gmail.<name>`. */
export type GmailScope = 'send' | 'compose' | 'readonly';

export interface GmailAccount {
  readonly address: string;
  readonly scopes: readonly GmailScope[];
}

export interface GmailSeed {
  readonly messages?: readonly {
    readonly from: string;
    readonly to: string;
    readonly subject: string;
    readonly text: string;
    /** Id of an existing thread. */
    readonly threadId?: string;
  }[];
}

const statusNames: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  412: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

const errorAnswer = (status: number, reason: string, message: string): OutgoingAnswer => ({
  status,
  body: {
    error: {
      code: status,
      message,
      errors: [{ message, domain: 'global', reason }],
      status: statusNames[status] ?? 'UNKNOWN',
    },
  },
});
const refuse = (...args: Parameters<typeof errorAnswer>): Refusal => new Refusal(errorAnswer(...args));

/** The most recipients of one message: https://support.google.com/a/answer/166852 ("Gmail sending limits", per message by API). */
const recipientsMax = 500;

export class GmailStandIn implements StandIn {
  readonly vendor = 'gmail' as const;
  readonly changes: ChangeLog;
  readonly #mailbox: Mailbox;
  readonly #accounts: ReadonlyMap<string, GmailAccount>;

  constructor(options: {
    /** By access token; all of one mailbox. */
    accounts: ReadonlyMap<string, GmailAccount>;
    address: string;
    now: () => Date;
    keepsMessageId?: boolean;
  }) {
    this.changes = new ChangeLog('gmail', options.now);
    this.#accounts = options.accounts;
    this.#mailbox = new Mailbox(options.address, {
      changes: this.changes,
      now: options.now,
      keepsMessageId: options.keepsMessageId ?? false,
    });
  }

  route(call: IncomingCall): RoutedCall {
    const account = this.#accounts.get(/^Bearer (.+)$/i.exec(call.headers.authorization ?? '')?.[1] ?? '');
    if (account === undefined) throw refuse(401, 'authError', 'Invalid Credentials');
    const routed = (effect: 'read' | 'write', scopes: readonly GmailScope[], handle: () => OutgoingAnswer) => ({
      effect,
      handle: () => {
        // Each method's "Authorization scopes": any one of those listed is enough.
        if (!scopes.some((scope) => account.scopes.includes(scope))) {
          throw refuse(403, 'insufficientPermissions', 'Request had insufficient authentication scopes.');
        }
        return handle();
      },
    });
    const by = account.address;
    const [, userId, resource, id, extra] =
      /^\/gmail\/v1\/users\/([^/]+)\/(\w+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(call.path) ?? [];
    const user = decodeURIComponent(userId ?? '');
    if (userId !== undefined && user !== 'me' && user.toLowerCase() !== account.address) {
      throw refuse(403, 'forbidden', 'Delegation denied for ' + account.address);
    }
    if (extra === undefined) {
      switch (`${call.method} ${resource}${id === undefined ? '' : id === 'send' ? '/send' : '/id'}`) {
        case 'GET profile':
          return routed('read', ['readonly', 'compose'], () => ({
            status: 200,
            body: { emailAddress: account.address, messagesTotal: this.#mailbox.all().length },
          }));
        case 'POST messages/send':
          return routed('write', ['send', 'compose'], () => this.#send(call, by));
        case 'GET messages':
          return routed('read', ['readonly'], () => this.#list(call));
        case 'GET messages/id':
          return routed('read', ['readonly'], () => this.#get(call, id!));
        case 'GET threads/id':
          return routed('read', ['readonly'], () => this.#thread(call, id!));
        case 'POST drafts':
          return routed('write', ['compose'], () => this.#createDraft(call, by));
        case 'GET drafts':
          return routed('read', ['compose', 'readonly'], () => this.#listDrafts(call));
        case 'GET drafts/id':
          return routed('read', ['compose', 'readonly'], () => this.#getDraft(call, id!));
        case 'DELETE drafts/id':
          return routed('write', ['compose'], () => this.#deleteDraft(id!, by));
        default:
          break;
      }
    }
    return { effect: 'read', handle: () => errorAnswer(404, 'notFound', 'Requested entity was not found.') };
  }

  refuse(status: number): OutgoingAnswer {
    const reasons: Record<number, string> = {
      401: 'authError',
      403: 'insufficientPermissions',
      404: 'notFound',
      409: 'aborted',
      412: 'conditionNotMet',
      429: 'rateLimitExceeded',
    };
    return errorAnswer(status, reasons[status] ?? 'backendError', `sandbox fault ${status}`);
  }

  /** Ids of the messages, in order. */
  seed(seed: GmailSeed): readonly { readonly id: string; readonly threadId: string }[] {
    return (seed.messages ?? []).map((m) => {
      const mime = [`From: ${m.from}`, `To: ${m.to}`, `Subject: ${m.subject}`, '', m.text].join('\r\n');
      const { id, threadId } = this.#mailbox.add(mime, { threadId: m.threadId, labelIds: ['INBOX'], by: 'seed' });
      return { id, threadId };
    });
  }

  /** The messages as they stand, newest first, past the API. */
  peek(): readonly { readonly id: string; readonly labelIds: readonly string[]; readonly part: Part }[] {
    return this.#mailbox.all().map((m) => ({ id: m.id, labelIds: m.labelIds, part: parseMime(m.mime) }));
  }

  snapshot(): JsonRecord {
    return this.#mailbox.snapshot();
  }

  restore(snapshot: JsonRecord): void {
    this.#mailbox.restore(snapshot);
  }

  /** users.messages: `raw` is the whole message, base64url. */
  #readRaw(message: JsonValue | undefined): { mime: string; threadId: string | undefined } {
    if (!isRecord(message ?? null)) throw refuse(400, 'invalidArgument', 'Invalid value for message');
    const { raw, threadId, ...others } = message as JsonRecord;
    if (Object.keys(others).some((key) => !['labelIds', 'id'].includes(key))) {
      throw refuse(400, 'invalidArgument', 'Invalid JSON payload received. Unknown name');
    }
    if (typeof raw !== 'string' || raw === '')
      throw refuse(
        400,
        'invalidArgument',
        "'raw' RFC822 payload message string or uploading message via /upload/* URL required",
      );
    if (!/^[A-Za-z0-9_-]*={0,2}$/.test(raw))
      throw refuse(400, 'invalidArgument', 'Invalid value at raw (TYPE_BYTES), Base64 decoding failed');
    if (threadId !== undefined && typeof threadId !== 'string')
      throw refuse(400, 'invalidArgument', 'Invalid thread_id value');
    if (threadId !== undefined && this.#mailbox.thread(threadId).length === 0) {
      throw refuse(404, 'notFound', 'Requested entity was not found.');
    }
    const mime = Buffer.from(raw, 'base64url').toString('utf8');
    try {
      parseMime(mime);
    } catch (error) {
      if (error instanceof MalformedMime) throw refuse(400, 'invalidArgument', 'Invalid MIME message');
      throw error;
    }
    return { mime, threadId };
  }

  #body(call: IncomingCall): JsonRecord {
    return jsonBody(call, () => refuse(400, 'parseError', 'Parse Error'));
  }

  /** users.messages.send. A reply joins a thread by threadId, References and the same subject. */
  #send(call: IncomingCall, by: string): OutgoingAnswer {
    const { mime, threadId } = this.#readRaw(this.#body(call));
    const { headers } = parseMime(mime);
    const recipients = ['to', 'cc', 'bcc'].flatMap((name) => addressesIn(headerOf(headers, name)));
    if (recipients.length === 0) throw refuse(400, 'invalidArgument', 'Recipient address required');
    if (recipients.length > recipientsMax) throw refuse(400, 'invalidArgument', 'Too many recipients');
    if (recipients.some((address) => !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(address))) {
      throw refuse(400, 'invalidArgument', 'Invalid To header');
    }
    const message = this.#mailbox.add(mime, { threadId, labelIds: ['SENT'], by });
    return { status: 200, body: { id: message.id, threadId: message.threadId, labelIds: [...message.labelIds] } };
  }

  /** users.messages.list: ids only, newest first; `q`, `labelIds`, `maxResults` up to 500, `pageToken`. */
  #list(call: IncomingCall): OutgoingAnswer {
    const found = this.#search(call);
    const at = Number(call.query.get('pageToken') ?? 0);
    const size = Math.min(Number(call.query.get('maxResults') ?? 100), 500);
    const page = found.slice(at, at + size).map(({ id, threadId }) => ({ id, threadId }));
    return {
      status: 200,
      body: {
        ...(page.length === 0 ? {} : { messages: page }),
        ...(at + size < found.length ? { nextPageToken: String(at + size) } : {}),
        resultSizeEstimate: found.length,
      },
    };
  }

  #search(call: IncomingCall): readonly StoredMessage[] {
    const matches = parseSearch(call.query.get('q') ?? '');
    if (matches === undefined) throw refuse(400, 'invalidArgument', 'sandbox: search operator not implemented');
    const labels = call.query.getAll('labelIds');
    return this.#mailbox.all().filter((m) => labels.every((label) => m.labelIds.includes(label)) && matches(m));
  }

  #found(id: string): StoredMessage {
    if (!/^[0-9a-f]+$/i.test(id)) throw refuse(400, 'invalidArgument', 'Invalid id value');
    const message = this.#mailbox.find(id);
    if (message === undefined) throw refuse(404, 'notFound', 'Requested entity was not found.');
    return message;
  }

  /** users.messages.get: format full (default), metadata, minimal, raw. */
  #shown(message: StoredMessage, call: IncomingCall): JsonRecord {
    const part = parseMime(message.mime);
    const base = {
      id: message.id,
      threadId: message.threadId,
      labelIds: [...message.labelIds],
      snippet: textOf(part).slice(0, 200),
      internalDate: message.internalDate,
      sizeEstimate: message.mime.length,
    };
    const only = call.query.getAll('metadataHeaders').map((name) => name.toLowerCase());
    switch (call.query.get('format') ?? 'full') {
      case 'full':
        return { ...base, payload: payloadOf(part) };
      case 'metadata':
        return {
          ...base,
          payload: {
            mimeType: part.mimeType,
            headers: part.headers
              .filter((h) => only.length === 0 || only.includes(h.name.toLowerCase()))
              .map((h) => ({ ...h })),
          },
        };
      case 'minimal':
        return base;
      case 'raw':
        return { ...base, raw: Buffer.from(message.mime).toString('base64url') };
      default:
        throw refuse(400, 'invalidArgument', 'Invalid value at format');
    }
  }

  #get(call: IncomingCall, id: string): OutgoingAnswer {
    return { status: 200, body: this.#shown(this.#found(id), call) };
  }

  /** users.threads.get */
  #thread(call: IncomingCall, id: string): OutgoingAnswer {
    const messages = this.#mailbox.thread(id);
    if (messages.length === 0) throw refuse(404, 'notFound', 'Requested entity was not found.');
    return { status: 200, body: { id, messages: messages.map((m) => this.#shown(m, call)) } };
  }

  /** users.drafts.create: `{message: {raw, threadId}}`; a draft may lack recipients. */
  #createDraft(call: IncomingCall, by: string): OutgoingAnswer {
    const { mime, threadId } = this.#readRaw(this.#body(call)['message']);
    const draft = this.#mailbox.addDraft(mime, { threadId, by });
    const message = this.#mailbox.find(draft.messageId)!;
    return {
      status: 200,
      body: { id: draft.id, message: { id: message.id, threadId: message.threadId, labelIds: [...message.labelIds] } },
    };
  }

  /** users.drafts.list: ids of drafts and of their messages. */
  #listDrafts(call: IncomingCall): OutgoingAnswer {
    const found = new Set(this.#search(call).map((message) => message.id));
    const drafts = this.#mailbox.drafts().filter((draft) => found.has(draft.messageId));
    const size = Math.min(Number(call.query.get('maxResults') ?? 100), 500);
    return {
      status: 200,
      body: {
        drafts: drafts.slice(0, size).map((draft) => ({
          id: draft.id,
          message: { id: draft.messageId, threadId: this.#mailbox.find(draft.messageId)!.threadId },
        })),
        resultSizeEstimate: drafts.length,
      },
    };
  }

  #getDraft(call: IncomingCall, id: string): OutgoingAnswer {
    const draft = this.#mailbox.draft(id);
    if (draft === undefined) throw refuse(404, 'notFound', 'Requested entity was not found.');
    return { status: 200, body: { id, message: this.#shown(this.#found(draft.messageId), call) } };
  }

  /** users.drafts.delete: 204 in practice, "immediately and permanently". */
  #deleteDraft(id: string, by: string): OutgoingAnswer {
    if (!this.#mailbox.deleteDraft(id, by)) throw refuse(404, 'notFound', 'Requested entity was not found.');
    return { status: 204 };
  }
}
