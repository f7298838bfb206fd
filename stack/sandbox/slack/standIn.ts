/**
 * Slack in the sandbox: the `emulate` package behind a gate of ours. The emulator keeps channels and messages; the
 * gate adds faults, the change log and persistence, and refuses what Slack refuses and the emulator lets through:
 * unknown tokens (the emulator takes any), posting to a public channel without being in it, malformed metadata; and
 * it does what the emulator leaves out of conversations.history: `oldest`, `latest`, `inclusive`, and metadata only
 * where `include_all_metadata` asks for it. Behaviour from https://docs.slack.dev/reference/methods/ (chat.postMessage,
 * chat.update, chat.delete, conversations.history, auth.test) and https://docs.slack.dev/messaging/message-metadata
 */
import { ChangeLog, changedFields } from '../changeLog.ts';
import {
  asText,
  isRecord,
  type IncomingCall,
  type JsonRecord,
  type JsonValue,
  type OutgoingAnswer,
  type RoutedCall,
  type StandIn,
} from '../standIn.ts';
import {
  Aliases,
  channelIdOf,
  startEmulator,
  type RunningEmulator,
  type SlackApp,
  type SlackChannelSeed,
} from './emulator.ts';

/** Each Web API call is answered with 200; what went wrong is in `error`: https://docs.slack.dev/apis/web-api/ */
const failed = (error: string, more: JsonRecord = {}): OutgoingAnswer => ({
  status: 200,
  body: { ok: false, error, ...more },
});

const readMethods = new Set([
  'auth.test',
  'conversations.history',
  'conversations.replies',
  'conversations.info',
  'conversations.list',
  'conversations.members',
]);
const writeMethods = new Set(['chat.postMessage', 'chat.update', 'chat.delete', 'conversations.join']);

/** Parameters that hold ids. */
const idParameters = ['channel', 'ts', 'thread_ts'];

function parametersOf(call: IncomingCall): Record<string, string> {
  const contentType = call.headers['content-type'] ?? '';
  if (contentType.includes('application/json')) {
    let value: unknown;
    try {
      value = JSON.parse(call.body);
    } catch {
      return {};
    }
    if (!isRecord(value)) return {};
    return Object.fromEntries(
      Object.entries(value).map(([key, v]) => [key, typeof v === 'string' ? v : JSON.stringify(v)]),
    );
  }
  return Object.fromEntries([...call.query, ...new URLSearchParams(call.body)]);
}

/** message-metadata: `event_type` and `event_payload`, an object, are both required. */
function refuseMetadata(metadata: string | undefined): string | undefined {
  if (metadata === undefined || metadata === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(metadata);
  } catch {
    return 'invalid_metadata_format';
  }
  if (!isRecord(value)) return 'invalid_metadata_format';
  if (Object.keys(value).length === 0) return undefined;
  return typeof value['event_type'] === 'string' &&
    value['event_type'] !== '' &&
    isRecord(value['event_payload'] ?? null)
    ? undefined
    : 'metadata_must_be_sent_with_event_type_and_payload';
}

export class SlackStandIn implements StandIn {
  readonly vendor = 'slack' as const;
  readonly changes: ChangeLog;
  readonly #app: SlackApp;
  readonly #tokens: ReadonlyMap<string, readonly string[]>;
  readonly #aliases: Aliases;
  readonly #emulator: RunningEmulator;
  /** What was posted and still stands, by channel and time stamp, for the next start. */
  #messages = new Map<string, JsonRecord>();

  private constructor(options: {
    app: SlackApp;
    tokens: ReadonlyMap<string, readonly string[]>;
    aliases: Aliases;
    emulator: RunningEmulator;
    now: () => Date;
  }) {
    this.changes = new ChangeLog('slack', options.now);
    this.#app = options.app;
    this.#tokens = options.tokens;
    this.#aliases = options.aliases;
    this.#emulator = options.emulator;
  }

  static async start(options: {
    app: SlackApp;
    /** Scopes by bot token. */
    tokens: ReadonlyMap<string, readonly string[]>;
    channels: readonly SlackChannelSeed[];
    now: () => Date;
  }): Promise<SlackStandIn> {
    const aliases = new Aliases();
    const emulator = await startEmulator({ ...options, aliases });
    return new SlackStandIn({ ...options, aliases, emulator });
  }

  channelId(name: string): string {
    return channelIdOf(name);
  }

  route(call: IncomingCall): RoutedCall {
    const method = /^\/api\/([\w.]+)$/.exec(call.path)?.[1] ?? '';
    const token = /^Bearer (.+)$/i.exec(call.headers.authorization ?? '')?.[1];
    const parameters = parametersOf(call);
    const effect = writeMethods.has(method) ? 'write' : 'read';
    return {
      effect,
      handle: async () => {
        if (token === undefined) return failed('not_authed');
        if (!this.#tokens.has(token)) return failed('invalid_auth');
        if (!readMethods.has(method) && !writeMethods.has(method))
          return failed('unknown_method', { req_method: method });
        return { status: 200, body: await this.#carryOut(method, parameters, token) };
      },
    };
  }

  /** Where Slack has a form of its own for a kind of refusal, that; else the HTTP status that its gateways send. */
  refuse(status: number): OutgoingAnswer {
    switch (status) {
      case 401:
        return failed('invalid_auth');
      case 403:
        return failed('missing_scope', { needed: 'chat:write', provided: '' });
      case 404:
        return failed('channel_not_found');
      case 429:
        return { status: 429, body: { ok: false, error: 'ratelimited' } };
      default:
        return { status, body: { ok: false, error: status >= 500 ? 'internal_error' : 'request_refused' } };
    }
  }

  snapshot(): JsonRecord {
    return { messages: [...this.#messages.values()] };
  }

  /** The emulator has no way to load messages, so they are posted again, and known by their old time stamps. */
  async restore(snapshot: JsonRecord): Promise<void> {
    const messages = Array.isArray(snapshot['messages']) ? snapshot['messages'].filter(isRecord) : [];
    const [token] = [...this.#tokens.keys()];
    for (const message of messages) {
      const { channel, ts, ...content } = message as Record<string, string>;
      const answer = await this.#emulator.call(
        'chat.postMessage',
        this.#inside({ channel: channel!, ...content }),
        token,
      );
      this.#aliases.add(ts!, answer['ts'] as string);
      this.#messages.set(`${channel} ${ts}`, message);
    }
  }

  /** Messages of a channel, newest first, with their metadata, past the API. */
  peek(channel: string): Promise<readonly JsonRecord[]> {
    return this.#allMessages(channel);
  }

  stop(): Promise<void> {
    return this.#emulator.stop();
  }

  #inside(parameters: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(parameters).map(([k, v]) => [k, idParameters.includes(k) ? this.#aliases.inside(v) : v]),
    );
  }

  async #ask(method: string, parameters: Readonly<Record<string, string>>, token?: string): Promise<JsonRecord> {
    return this.#aliases.outside(await this.#emulator.call(method, this.#inside(parameters), token)) as JsonRecord;
  }

  /** chat.postMessage, conversations.history: `not_in_channel` unless the app was invited. */
  async #isMember(channel: string): Promise<boolean> {
    const answer = await this.#ask('conversations.members', { channel, limit: '1000' });
    return answer['ok'] !== true || (answer['members'] as JsonValue[]).includes(this.#app.botUserId);
  }

  async #carryOut(method: string, parameters: Record<string, string>, token: string): Promise<JsonRecord> {
    if (method === 'conversations.history' || method === 'conversations.replies')
      return this.#history(method, parameters, token);
    if (!method.startsWith('chat.')) return this.#ask(method, parameters, token);
    const channel = parameters['channel'] ?? '';
    const metadataRefusal = refuseMetadata(parameters['metadata']);
    if (metadataRefusal !== undefined) return { ok: false, error: metadataRefusal };
    if (method === 'chat.postMessage' && !(await this.#isMember(channel)))
      return { ok: false, error: 'not_in_channel' };
    const before =
      method === 'chat.postMessage'
        ? undefined
        : (await this.#allMessages(channel, parameters['ts'])).find((message) => message['ts'] === parameters['ts']);
    const answer = await this.#ask(method, parameters, token);
    if (answer['ok'] === true) await this.#record(method, channel, answer, parameters, before);
    return answer;
  }

  async #record(
    method: string,
    channel: string,
    answer: JsonRecord,
    parameters: Record<string, string>,
    before: JsonRecord | undefined,
  ): Promise<void> {
    const ts = answer['ts'] as string;
    const key = `${channel} ${ts}`;
    const kept = (message: JsonRecord | undefined): JsonRecord =>
      message === undefined
        ? {}
        : {
            channel,
            text: message['text'] ?? null,
            blocks: message['blocks'] ?? null,
            metadata: message['metadata'] ?? null,
          };
    const after = method === 'chat.delete' ? undefined : (answer['message'] as JsonRecord);
    const operation =
      method === 'chat.postMessage' ? 'create' : method === 'chat.update' ? 'update' : ('delete' as const);
    this.changes.record({
      by: this.#app.botUserId,
      operation,
      kind: 'message',
      id: `${channel}/${ts}`,
      fields: changedFields(kept(before), kept(after)),
    });
    if (after === undefined) this.#messages.delete(key);
    else {
      const fields = ['text', 'blocks', 'metadata'].flatMap((name) => {
        const value = after[name];
        return value === undefined || value === null
          ? []
          : [[name, typeof value === 'string' ? value : JSON.stringify(value)] as const];
      });
      const thread = parameters['thread_ts'] ?? (this.#messages.get(key)?.['thread_ts'] as string | undefined);
      this.#messages.set(key, {
        channel,
        ts,
        ...Object.fromEntries(fields),
        ...(thread === undefined ? {} : { thread_ts: thread }),
      });
    }
  }

  /** Messages of a channel, or of one thread where `ts` names its parent; newest first. */
  async #allMessages(channel: string, ts?: string): Promise<JsonRecord[]> {
    const messages: JsonRecord[] = [];
    let cursor = '';
    do {
      const answer = await this.#ask(ts === undefined ? 'conversations.history' : 'conversations.replies', {
        channel,
        limit: '1000',
        ...(ts !== undefined && { ts }),
        ...(cursor && { cursor }),
      });
      if (answer['ok'] !== true) return messages;
      messages.push(...(answer['messages'] as JsonRecord[]));
      cursor = asText((answer['response_metadata'] as JsonRecord | undefined)?.['next_cursor']);
    } while (cursor !== '');
    return messages.toSorted((a, b) => (asText(a['ts']) < asText(b['ts']) ? 1 : -1));
  }

  /** conversations.history and conversations.replies, with what the emulator leaves out. */
  async #history(method: string, parameters: Record<string, string>, token: string): Promise<JsonRecord> {
    const channel = parameters['channel'] ?? '';
    const ts = method === 'conversations.replies' ? (parameters['ts'] ?? '') : undefined;
    // The emulator's own answer decides about channel and scope.
    const allowed = await this.#ask(method, { channel, limit: '1', ...(ts !== undefined && { ts }) }, token);
    if (allowed['ok'] !== true) return allowed;
    if (!(await this.#isMember(channel))) return { ok: false, error: 'not_in_channel' };
    const limit = Number(parameters['limit'] ?? 100);
    if (!Number.isInteger(limit) || limit < 1 || limit > 999) return { ok: false, error: 'invalid_limit' };
    const inclusive = ['true', '1'].includes(parameters['inclusive'] ?? '');
    const { oldest, latest } = parameters;
    for (const bound of [oldest, latest]) {
      if (bound !== undefined && !/^\d+(\.\d{1,6})?$/.test(bound)) {
        return { ok: false, error: bound === oldest ? 'invalid_ts_oldest' : 'invalid_ts_latest' };
      }
    }
    const messages = await this.#allMessages(channel, ts);
    if (ts !== undefined && messages.length === 0) return { ok: false, error: 'thread_not_found' };
    // A thread is given oldest first.
    const within = (ts === undefined ? messages : messages.toReversed()).filter((message) => {
      const at = Number(message['ts']);
      if (oldest !== undefined && (inclusive ? at < Number(oldest) : at <= Number(oldest))) return false;
      return latest === undefined || (inclusive ? at <= Number(latest) : at < Number(latest));
    });
    const withMetadata = ['true', '1'].includes(parameters['include_all_metadata'] ?? '');
    const at = Number(Buffer.from(parameters['cursor'] ?? '', 'base64').toString('utf8') || 0);
    if (!Number.isInteger(at)) return { ok: false, error: 'invalid_cursor' };
    const page = within.slice(at, at + limit).map((message) => {
      if (withMetadata || !isRecord(message['metadata'] ?? null)) return message;
      return { ...message, metadata: { event_type: (message['metadata'] as JsonRecord)['event_type']! } };
    });
    const more = at + limit < within.length;
    return {
      ok: true,
      messages: page,
      has_more: more,
      response_metadata: { next_cursor: more ? Buffer.from(String(at + limit)).toString('base64') : '' },
    };
  }
}
