/**
 * The API on a free port against the real MongoDB and Temporal, with two instances set up as a local start sets them
 * up, and the tails running in this process.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { inject } from 'vitest';
import { connectors } from '../../activities/connectors/registry.ts';
import type { ApiLimits } from '../../api/limits/limits.ts';
import type { LogLine } from '../../api/log.ts';
import { ApiMetrics } from '../../api/metrics.ts';
import { createApi, type Api } from '../../api/server.ts';
import { createServices } from '../../api/services.ts';
import type { Services } from '../../api/context.ts';
import type { Role } from '../../schema/control.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { demoSpec } from '../../stack/provision/demo.ts';
import { provisionInstance } from '../../stack/provision/provision-instance.ts';
import type { TokenSecrets } from '../../stack/provision/missing-tokens.ts';
import { createTemporalClient } from '../../stack/temporal/client.ts';
import { createToolCatalogue } from '../../stack/temporal/toolCatalogue.ts';
import { createControlTail } from '../../store/applier.ts';
import { openControlState } from '../../store/control-state.ts';
import { ensureInstance } from '../../store/instances.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import { createTileTail } from '../../trail/tails/tile-tail.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import { provisionTestInstances, type TestInstances } from '../setup/database.ts';
import { testNamespace } from '../setup/servers.ts';

export type Name = 'acme' | 'globex';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body as it came. */
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of many shapes
  readonly data: any;
  readonly errors:
    | readonly {
        readonly message: string;
        readonly extensions: { readonly code: string; readonly retryable: boolean };
      }[]
    | undefined;
}

export interface TestApi {
  readonly url: string;
  readonly api: Api;
  readonly services: Services;
  readonly metrics: ApiMetrics;
  readonly database: TestInstances<Name>;
  readonly ids: Readonly<Record<Name, InstanceId>>;
  /** The log as another process writes to it. */
  readonly trails: Readonly<Record<Name, Trail>>;
  readonly tokens: Readonly<Record<Name, TokenSecrets>>;
  readonly logged: LogLine[];
  readonly keys: KeyProvider;
  /** Moves the API's clock on. */
  advance(ms: number): void;
  ask(query: string, variables?: object, as?: Role | { instance: Name; role: Role }): Promise<Answer>;
  /** Any request, with the token of a role of acme. */
  fetch(path: string, init?: RequestInit, as?: Role | { instance: Name; role: Role } | 'nobody'): Promise<Response>;
  tails: TailRunner;
  close(): Promise<void>;
}

export interface OpenApiOptions {
  readonly limits?: Partial<ApiLimits>;
  readonly introspection?: boolean;
  /** Connections of the API's own, in place of those that the test writes with. */
  readonly connect?: (uri: string) => MongoClient;
  /** host:port, instead of the tests' Temporal. */
  readonly temporalAddress?: string;
}

/** The stand-ins are not needed: nothing of these tests reaches a vendor. */
const nowhere = {
  salesforce: 'http://127.0.0.1:9',
  slack: 'http://127.0.0.1:9',
  gmail: 'http://127.0.0.1:9',
  jira: 'http://127.0.0.1:9',
};
const noCredentials = {
  salesforce: { accessToken: 'test' },
  slack: { token: 'test' },
  gmail: { accessToken: 'test' },
  jira: { email: 'a@example.com', apiToken: 'test' },
};

export const openTestApi = async (options: OpenApiOptions = {}): Promise<TestApi> => {
  const database = await provisionTestInstances(['acme', 'globex']);
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-keys-'));
  const keys = await openFileKeyProvider(folder);
  const { clients, ids } = database;
  const { applier, projector } = clients;
  const tails = new TailRunner({
    owner: `test-${ids.acme}`,
    tails: [
      createIndexTail(projector),
      createTileTail(projector),
      createControlTail(applier, keys, async ({ reason }) => console.error('void:', reason)),
    ],
    onError: (tail, _instance, error) => console.error(`tail ${tail}:`, error),
  });
  const trails = {} as Record<Name, Trail>;
  const tokens = {} as Record<Name, TokenSecrets>;
  for (const name of ['acme', 'globex'] as const) {
    const instance = ids[name];
    const { origin } = await ensureInstance(clients.provisioner, instance, 'localhost', new Date());
    const trail = await openTrail(instance, origin, { clients, keys });
    tails.follow(instance);
    const provisioned = await provisionInstance({
      clients,
      keys,
      trail,
      state: openControlState(clients.reader, instance),
      spec: demoSpec(name, { urls: nowhere, credentials: noCredentials }),
      knownTokens: {},
      keepTokens: async () => undefined,
      nowMs: Date.now,
    });
    trails[name] = trail;
    tokens[name] = provisioned.tokens;
  }
  const address = options.temporalAddress ?? inject('temporalAddress');
  const temporal = createTemporalClient({ address, namespace: testNamespace }, async () => Buffer.alloc(32, 1));
  const metrics = new ApiMetrics();
  let skewMs = 0;
  const { connect } = options;
  const own = connect && {
    appender: connect(database.uriOf('appender')),
    anchor: connect(database.uriOf('anchor')),
    reader: connect(database.uriOf('reader')),
  };
  const { reader } = own ?? clients;
  const services = createServices({
    clients: own ?? clients,
    keys,
    temporal,
    tools: createToolCatalogue(connectors),
    metrics,
    nowMs: () => Date.now() + skewMs,
  });
  const logged: LogLine[] = [];
  const api = createApi({
    services,
    reader,
    metrics,
    publicUrl: 'http://localhost',
    introspection: options.introspection ?? false,
    ...(options.limits && { limits: options.limits }),
    log: (line) => {
      if (process.env['TRAILKEEPER_TEST_LOG']) console.error(line);
      logged.push(line);
    },
  });
  const port = await api.listen('127.0.0.1', 0);
  const url = `http://127.0.0.1:${port}`;

  const request: TestApi['fetch'] = (path, init = {}, as = 'auditor') => {
    const headers = new Headers(init.headers);
    if (as !== 'nobody') {
      const { instance, role } = typeof as === 'string' ? { instance: 'acme' as const, role: as } : as;
      if (!headers.has('authorization')) headers.set('authorization', `Bearer ${tokens[instance][role]}`);
    }
    return fetch(`${url}${path}`, { ...init, headers });
  };

  return {
    url,
    api,
    services,
    metrics,
    database,
    ids,
    trails,
    tokens,
    logged,
    keys,
    tails,
    advance: (ms) => (skewMs += ms),
    fetch: request,
    async ask(query, variables, as = 'auditor') {
      const response = await request(
        '/graphql',
        {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query, variables }),
        },
        as,
      );
      const text = await response.text();
      const { data, errors } = JSON.parse(text) as Answer;
      return { status: response.status, headers: response.headers, text, data, errors };
    },
    async close() {
      await api.stop();
      await Promise.all(Object.values(own ?? {}).map((client) => client.close()));
      await tails.stop();
      await temporal.connection.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
