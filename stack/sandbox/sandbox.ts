/**
 * The sandbox: a stand-in for each vendor, on loopback, to run the whole product without an account anywhere. The
 * stand-ins are not the vendors (docs/connectors.md says what they cover, and from which pages).
 */
import { readFile } from 'node:fs/promises';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Change } from './changeLog.ts';
import { serveControl } from './control.ts';
import { Faults } from './faults.ts';
import { GmailStandIn, type GmailSeed } from './gmail/standIn.ts';
import { JiraStandIn, type JiraSeed } from './jira/standIn.ts';
import { SalesforceStandIn, type SalesforceSeed } from './salesforce/standIn.ts';
import { serveStandIn, type RunningServer } from './server.ts';
import type { SlackChannelSeed } from './slack/emulator.ts';
import { SlackStandIn } from './slack/standIn.ts';
import { vendors, type SavedState, type StandIn, type Vendor } from './standIn.ts';

export interface SandboxOptions {
  /** Ports by vendor, and that of the control server; free ones where absent. */
  readonly ports?: Partial<Record<Vendor | 'control', number>>;
  /** Folder in which state and change logs are kept; only in memory where absent. */
  readonly dir?: string;
  /** Slack channels; default: #sales, #support and #incidents with the app in them, #random without. */
  readonly channels?: readonly SlackChannelSeed[];
  /** Whether the Gmail stand-in leaves a sent Message-ID as it is. Gmail does not. Default: false. */
  readonly gmailKeepsMessageId?: boolean;
  readonly now?: () => Date;
}

export interface SandboxSeed {
  readonly salesforce?: SalesforceSeed;
  readonly gmail?: GmailSeed;
  readonly jira?: JiraSeed;
}

/** What the seeding made, in the order of the seed. */
export interface Seeded {
  readonly salesforce: readonly string[];
  readonly gmail: readonly { readonly id: string; readonly threadId: string }[];
  readonly jira: readonly string[];
}

/** In the shape of each connector's credential schema. */
export interface SandboxCredentials {
  readonly salesforce: { readonly accessToken: string };
  readonly slack: { readonly botToken: string };
  readonly gmail: { readonly accessToken: string; readonly address: string };
  readonly jira: { readonly email: string; readonly apiToken: string };
}

export interface Sandbox {
  readonly urls: Readonly<Record<Vendor, string>>;
  readonly controlUrl: string;
  readonly credentials: SandboxCredentials;
  /** Credentials that authenticate, but may only read: for refusals by scope. */
  readonly readOnlyCredentials: SandboxCredentials;
  readonly faults: Readonly<Record<Vendor, Faults>>;
  /** Slack channel ids by name are `slack.channelId(name)`. */
  readonly salesforce: SalesforceStandIn;
  readonly slack: SlackStandIn;
  readonly gmail: GmailStandIn;
  readonly jira: JiraStandIn;
  seed(seed: SandboxSeed): Seeded;
  changes(vendor: Vendor, after?: number): readonly Change[];
  /** True where the state was read from `dir`: seed only where this is false. */
  readonly restored: boolean;
  stop(): Promise<void>;
}

/** Tokens of the sandbox are fixed: they open nothing but stand-ins on loopback. */
const credentials: SandboxCredentials = {
  salesforce: { accessToken: '00DSandbox!agent' },
  slack: { botToken: 'xoxb-sandbox-agent' },
  gmail: { accessToken: 'ya29.sandbox-agent', address: 'agent@sandbox.example' },
  jira: { email: 'agent@sandbox.example', apiToken: 'sandbox-agent' },
};
const readOnlyCredentials: SandboxCredentials = {
  salesforce: { accessToken: '00DSandbox!reader' },
  slack: { botToken: 'xoxb-sandbox-reader' },
  gmail: { accessToken: 'ya29.sandbox-reader', address: 'agent@sandbox.example' },
  jira: { email: 'reader@sandbox.example', apiToken: 'sandbox-reader' },
};

const defaultChannels: readonly SlackChannelSeed[] = [
  { name: 'sales' },
  { name: 'support' },
  { name: 'incidents' },
  { name: 'random', appIsMember: false },
];

const statePath = (dir: string, vendor: Vendor): string => join(dir, `${vendor}.json`);

async function restore(dir: string, standIn: StandIn): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(statePath(dir, standIn.vendor), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
  const saved = JSON.parse(text) as SavedState;
  await standIn.restore(saved.state);
  standIn.changes.restore(saved.changes);
  return true;
}

/** Renamed into place, so that a crash leaves the old state or the new one. */
function save(dir: string, standIn: StandIn): void {
  const path = statePath(dir, standIn.vendor);
  const saved: SavedState = { state: standIn.snapshot(), changes: standIn.changes.after() };
  writeFileSync(`${path}.new`, JSON.stringify(saved), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Rejects with the system's error (EADDRINUSE, ...) where a port can't be had; nothing is left running then. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const now = options.now ?? (() => new Date());
  const salesforce = new SalesforceStandIn({
    users: new Map([
      [credentials.salesforce.accessToken, { id: '005Tk0000000001AAA', username: 'agent', mayWrite: true }],
      [readOnlyCredentials.salesforce.accessToken, { id: '005Tk0000000002AAA', username: 'reader', mayWrite: false }],
    ]),
    now,
  });
  const gmail = new GmailStandIn({
    address: credentials.gmail.address,
    accounts: new Map([
      [credentials.gmail.accessToken, { address: credentials.gmail.address, scopes: ['compose', 'readonly'] }],
      [readOnlyCredentials.gmail.accessToken, { address: credentials.gmail.address, scopes: ['readonly'] }],
    ]),
    keepsMessageId: options.gmailKeepsMessageId ?? false,
    now,
  });
  const jira = new JiraStandIn({
    users: new Map([
      [
        `${credentials.jira.email}:${credentials.jira.apiToken}`,
        { accountId: '5b10agent', email: credentials.jira.email, mayWrite: true },
      ],
      [
        `${readOnlyCredentials.jira.email}:${readOnlyCredentials.jira.apiToken}`,
        { accountId: '5b10reader', email: readOnlyCredentials.jira.email, mayWrite: false },
      ],
    ]),
    now,
  });
  const slack = await SlackStandIn.start({
    app: { appId: 'A0SANDBOX', botId: 'B0SANDBOX', botUserId: 'U0SANDBOX', name: 'trailkeeper' },
    tokens: new Map([
      [credentials.slack.botToken, ['chat:write', 'channels:history', 'groups:history', 'channels:read']],
      [readOnlyCredentials.slack.botToken, ['channels:history', 'groups:history', 'channels:read']],
    ]),
    channels: options.channels ?? defaultChannels,
    now,
  });
  const standIns: Record<Vendor, StandIn> = { salesforce, slack, gmail, jira };
  const faults = Object.fromEntries(vendors.map((v) => [v, new Faults()])) as Record<Vendor, Faults>;
  const { dir } = options;
  const running: RunningServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(running.map((server) => server.stop()));
    await slack.stop();
  };
  try {
    let restored = false;
    if (dir !== undefined) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      for (const vendor of vendors) restored = (await restore(dir, standIns[vendor])) || restored;
    }
    const persist = (standIn: StandIn): void => {
      if (dir !== undefined) save(dir, standIn);
    };
    const seed = (seeds: SandboxSeed): Seeded => {
      const seeded = {
        salesforce: salesforce.seed(seeds.salesforce ?? {}),
        gmail: gmail.seed(seeds.gmail ?? {}),
        jira: jira.seed(seeds.jira ?? {}),
      };
      for (const vendor of vendors) persist(standIns[vendor]);
      return seeded;
    };
    const urls = {} as Record<Vendor, string>;
    for (const vendor of vendors) {
      const standIn = standIns[vendor];
      const server = await serveStandIn(standIn, {
        port: options.ports?.[vendor] ?? 0,
        faults: faults[vendor],
        onWrite: () => persist(standIn),
      });
      running.push(server);
      urls[vendor] = server.url;
    }
    const changes: Sandbox['changes'] = (vendor, after) => standIns[vendor].changes.after(after);
    const control = await serveControl({ port: options.ports?.control ?? 0, faults, changes, seed });
    running.push(control);
    return {
      urls,
      controlUrl: control.url,
      credentials,
      readOnlyCredentials,
      faults,
      salesforce,
      slack,
      gmail,
      jira,
      seed,
      changes,
      restored,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
