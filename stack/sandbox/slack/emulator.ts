/**
 * Starts the `emulate` package's Slack service (pinned in package.json), which holds channels and messages for the
 * sandbox, and gives its channels ids that are the same on every start: the emulator draws new ones each time.
 */
import { createHash } from 'node:crypto';
import { createEmulator } from 'emulate';
import { isRecord, type JsonRecord, type JsonValue } from '../standIn.ts';

/** A token of ours for the emulator; never leaves this process. */
const ownerToken = 'xoxp-sandbox-owner';

export interface SlackChannelSeed {
  readonly name: string;
  /** Whether the app was invited; it can't post elsewhere. Default: true. */
  readonly appIsMember?: boolean;
  readonly private?: boolean;
}

export interface SlackApp {
  readonly appId: string;
  readonly botId: string;
  readonly botUserId: string;
  readonly name: string;
}

/** Ids under which the emulator knows what callers know under another one. */
export class Aliases {
  readonly #inside = new Map<string, string>();
  readonly #outside = new Map<string, string>();

  add(outside: string, inside: string): void {
    this.#inside.set(outside, inside);
    this.#outside.set(inside, outside);
  }

  inside(id: string): string {
    return this.#inside.get(id) ?? id;
  }

  /** Replaces ids in an answer, at the keys where Slack gives ids and time stamps; never in texts. */
  outside(value: JsonValue, key = ''): JsonValue {
    if (typeof value === 'string') {
      return ['id', 'channel', 'ts', 'thread_ts', 'latest_reply'].includes(key)
        ? (this.#outside.get(value) ?? value)
        : value;
    }
    if (Array.isArray(value)) return value.map((item) => this.outside(item, key));
    if (!isRecord(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, this.outside(v, k)]));
  }
}

export interface RunningEmulator {
  /** One Web API call with the given parameters, ids already inside ones; the emulator's answer as it is. */
  call(method: string, parameters: Readonly<Record<string, string>>, token?: string): Promise<JsonRecord>;
  stop(): Promise<void>;
}

/** The same for a name on every start, and of the form of Slack's: `C` and ten capitals or digits. */
export const channelIdOf = (name: string): string =>
  `C${BigInt(`0x${createHash('sha256').update(name).digest('hex')}`)
    .toString(36)
    .toUpperCase()
    .slice(0, 10)}`;

export async function startEmulator(options: {
  readonly app: SlackApp;
  /** Scopes by token. */
  readonly tokens: ReadonlyMap<string, readonly string[]>;
  readonly channels: readonly SlackChannelSeed[];
  readonly aliases: Aliases;
}): Promise<RunningEmulator> {
  const { app } = options;
  const emulator = await createEmulator({
    service: 'slack',
    port: 0,
    hostname: '127.0.0.1',
    seed: {
      slack: {
        strict_scopes: true,
        team: { name: 'Sandbox', domain: 'sandbox' },
        channels: options.channels.map((c) => ({ name: c.name, is_private: c.private ?? false })),
        oauth_apps: [
          {
            client_id: 'sandbox',
            client_secret: 'sandbox',
            app_id: app.appId,
            name: app.name,
            redirect_uris: [],
            scopes: [],
            bot_id: app.botId,
            bot_user_id: app.botUserId,
            bot_name: app.name,
          },
        ],
        tokens: [
          ...[...options.tokens].map(([token, scopes]) => ({
            token,
            type: 'bot',
            user: app.name,
            scopes: [...scopes],
            app_id: app.appId,
            bot_id: app.botId,
            bot_user_id: app.botUserId,
          })),
          { token: ownerToken, user: 'admin' },
        ],
      },
    },
  });
  const base = emulator.url.replace('localhost', '127.0.0.1');
  const call: RunningEmulator['call'] = async (method, parameters, token = ownerToken) => {
    const response = await fetch(`${base}/api/${method}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: new URLSearchParams(parameters),
    });
    return (await response.json()) as JsonRecord;
  };

  const listed = await call('conversations.list', { types: 'public_channel,private_channel', limit: '1000' });
  const channels = Array.isArray(listed['channels']) ? listed['channels'].filter(isRecord) : [];
  for (const wanted of options.channels) {
    const inside = channels.find((channel) => channel['name'] === wanted.name)?.['id'] as string;
    options.aliases.add(channelIdOf(wanted.name), inside);
    if (wanted.appIsMember ?? true) await call('conversations.invite', { channel: inside, users: app.botUserId });
  }
  return { call, stop: () => emulator.close() };
}
