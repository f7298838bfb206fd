/**
 * The platform as it runs: its own instance, the API, the maintenance worker and the tails, in this process, on the
 * real MongoDB and Temporal. Instances that a test creates end in a suffix of its own, and are dropped with it.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { WorkflowBundle } from '@temporalio/worker';
import { MongoClient } from 'mongodb';
import { inject } from 'vitest';
import { connectors } from '../../activities/connectors/registry.ts';
import { createInstanceActivities } from '../../activities/instances/createInstanceActivities.ts';
import { createProbeActivities, type ProbeDeps } from '../../activities/probe/createProbeActivities.ts';
import { ApiMetrics } from '../../api/metrics.ts';
import { createApi } from '../../api/server.ts';
import { createServices } from '../../api/services.ts';
import type { CreationDurations, InstanceActivities } from '../../domain/instances/contract.ts';
import { canaryInstance, platformInstance } from '../../domain/instances/names.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { loadConfig } from '../../stack/config.ts';
import { archiveAttempts, payloadAttempts } from '../../stack/probing.ts';
import {
  beginOwnInstance,
  emptyArchive,
  furnish,
  instanceSteps,
  type CreationParts,
} from '../../stack/provision/creation.ts';
import { newInstanceSpec } from '../../stack/provision/new-instance.ts';
import { canaryProber, canarySpec, localPlatformSpec } from '../../stack/provision/platform.ts';
import type { InstanceSpec } from '../../stack/provision/spec.ts';
import type { TokenSecrets } from '../../stack/provision/missing-tokens.ts';
import { createTemporalClient } from '../../stack/temporal/client.ts';
import { temporalKeys } from '../../stack/temporal/instances.ts';
import { createToolCatalogue } from '../../stack/temporal/toolCatalogue.ts';
import { bundleWorkflows, startWorkers, type RunningWorkers } from '../../stack/temporal/workers.ts';
import { createControlTail } from '../../store/applier.ts';
import { findInstance, listFollowed } from '../../store/instances.ts';
import { controlDatabase } from '../../store/provisioning/collections.ts';
import { duties, dutyUri, type Duty } from '../../store/provisioning/duties.ts';
import { dropInstance, provisionDatabase } from '../../store/provisioning/provision.ts';
import type { ArchiveStore } from '../../trail/archive/store.ts';
import { folderStore } from '../../trail/archive/folder-store.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import { createTileTail } from '../../trail/tails/tile-tail.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';
import { forgetKeys, testPasswords } from '../setup/database.ts';
import { testNamespace } from '../setup/servers.ts';

export interface TestAnswer {
  readonly status: number;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of many shapes
  readonly data: any;
  readonly code: string | undefined;
}

export interface TestPlatform {
  readonly url: string;
  readonly parts: CreationParts;
  readonly clients: Readonly<Record<Duty | 'admin', MongoClient>>;
  readonly temporal: Client;
  readonly platform: Trail;
  /** Of one instance, as it is archived. */
  archiveOf(instance: InstanceId): ArchiveStore;
  /** Of the platform's own people, by role. */
  readonly tokens: TokenSecrets;
  /** A name that no other test has. */
  name(word: string): InstanceId;
  ask(token: string, query: string, variables?: object): Promise<TestAnswer>;
  /** Starts a maintenance worker; `change` puts something of the test's in the way of the steps. */
  work(
    change?: (usual: InstanceActivities) => InstanceActivities,
    changeProbe?: Partial<ProbeDeps>,
  ): Promise<RunningWorkers>;
  /** What the probe tries as a rule, besides the API's doors and MongoDB. */
  readonly usualAttempts: ProbeDeps['others'];
  trailOf(instance: InstanceId): Promise<Trail>;
  /** Sets an instance up without the workflow. */
  setUp(instance: InstanceId, spec: InstanceSpec): Promise<{ trail: Trail; tokens: TokenSecrets }>;
  uriOf(duty: Duty): string;
  close(): Promise<void>;
}

const durations: CreationDurations = { giveUpMs: 60_000, stepMs: 30_000, heartbeatMs: 2000, retryMsMax: 300 };

let bundling: Promise<WorkflowBundle> | undefined;

export const openTestPlatform = async (
  options: { readonly durations?: Partial<CreationDurations>; readonly connect?: (uri: string) => MongoClient } = {},
): Promise<TestPlatform> => {
  bundling ??= bundleWorkflows();
  const bundle = await bundling;
  const adminUri = inject('mongodbAdminUri');
  const suffix = randomBytes(4).toString('hex');
  const admin = await MongoClient.connect(adminUri);
  const isOurs = (instance: string): boolean =>
    instance === platformInstance || instance === canaryInstance || instance.endsWith(`-${suffix}`);
  const dropOurs = async () => {
    for (const { instance, origin } of await listFollowed(admin))
      if (isOurs(instance)) {
        await dropInstance(admin, instance, origin);
        await admin.db(controlDatabase).collection<{ _id: string }>('instances').deleteOne({ _id: instance });
      }
  };
  await provisionDatabase(admin, { instances: [], passwords: testPasswords });
  // Their names are the same in every test.
  await dropOurs();
  for (const instance of [platformInstance, canaryInstance]) await forgetKeys(admin, instance);
  const uriOf = (duty: Duty) => dutyUri(adminUri, duty, testPasswords[duty]);
  const connected = await Promise.all(
    duties.map(async (duty) => [duty, await MongoClient.connect(uriOf(duty))] as const),
  );
  const clients = { ...Object.fromEntries(connected), admin } as Record<Duty | 'admin', MongoClient>;
  const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-keys-'));
  const keys = await openFileKeyProvider(folder);
  const archives = join(folder, 'archive');
  const parts: CreationParts = {
    clients,
    keys,
    archive: emptyArchive(async (instance) => folderStore(join(archives, instance))),
    publicUrl: 'http://localhost',
  };

  const runner = new TailRunner({
    owner: `test-${suffix}`,
    tails: [
      createIndexTail(clients.projector),
      createTileTail(clients.projector),
      createControlTail(clients.applier, keys, async ({ reason }) => console.error('void:', reason)),
    ],
    // Until it is noticed that an instance was undone, its tails find nothing.
    onError: () => undefined,
  });
  const stopping = new AbortController();
  const following = (async () => {
    while (!stopping.signal.aborted) {
      for (const { instance } of await listFollowed(clients.reader)) if (isOurs(instance)) runner.follow(instance);
      await delay(50, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();

  const setUp: TestPlatform['setUp'] = async (instance, spec) => {
    const own = await beginOwnInstance(parts, instance);
    const { tokens } = await own.furnish(spec);
    await own.activate();
    return { trail: own.trail, tokens };
  };
  const { trail: platform, tokens } = await setUp(platformInstance, localPlatformSpec);
  await setUp(canaryInstance, canarySpec);

  const own = options.connect && {
    appender: options.connect(uriOf('appender')),
    anchor: options.connect(uriOf('anchor')),
    reader: options.connect(uriOf('reader')),
  };
  const payloadKeys = temporalKeys(
    clients.appender,
    keys,
    async (instance) => (await findInstance(clients.reader, instance)) !== undefined,
  );
  const temporal = createTemporalClient({ address: inject('temporalAddress'), namespace: testNamespace }, payloadKeys);
  const taskQueues = {
    actions: `actions-${suffix}`,
    runs: `runs-${suffix}`,
    maintenance: `maintenance-${suffix}`,
    provisioning: `provisioning-${suffix}`,
  };
  const metrics = new ApiMetrics();
  const services = createServices({
    clients: own ?? clients,
    keys,
    temporal,
    tools: createToolCatalogue(connectors),
    metrics,
  });
  const api = createApi({
    services: { ...services, taskQueues, creationDurations: { ...durations, ...options.durations } },
    reader: (own ?? clients).reader,
    metrics,
    publicUrl: 'http://localhost',
    log: (line) => {
      if (process.env['TRAILKEEPER_TEST_LOG']) console.error(line);
    },
  });
  const url = `http://127.0.0.1:${await api.listen('127.0.0.1', 0)}`;
  const running: RunningWorkers[] = [];
  const usual = createInstanceActivities({
    steps: instanceSteps(parts),
    openPlatform: async () => platform,
    furnish: async (trail, request) => void (await furnish(parts, trail, newInstanceSpec(request))),
    nowMs: Date.now,
  });

  const openActive = async (instance: InstanceId): Promise<Trail> => {
    const record = await findInstance(clients.reader, instance);
    if (!record) throw new Error(`${instance} is not there`);
    return openTrail(instance, record.origin, { clients, keys });
  };
  const place = { kind: 'folder', folder: archives } as const;
  const usualAttempts: ProbeDeps['others'] = (target) => [
    ...archiveAttempts(
      { ...loadConfig({}).archive, place },
      async (instance) => folderStore(join(archives, instance)),
      target,
    ),
    ...payloadAttempts(payloadKeys, target),
  ];
  const probing: ProbeDeps = {
    clients,
    api: url,
    prober: canaryProber,
    openTrail: openActive,
    others: usualAttempts,
    onBreach: () => undefined,
    nowMs: Date.now,
    // Instances of other tests may be half gone.
    mayTarget: isOurs,
  };

  return {
    url,
    usualAttempts,
    parts,
    clients,
    temporal,
    platform,
    tokens,
    archiveOf: (instance) => folderStore(join(archives, instance)),
    setUp,
    uriOf,
    name: (word) => `${word}-${suffix}` as InstanceId,
    async ask(token, query, variables) {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
      const text = await response.text();
      const { data, errors } = JSON.parse(text);
      return { status: response.status, text, data, code: errors?.[0]?.extensions?.code };
    },
    async work(change = (steps) => steps, changeProbe = {}) {
      const workers = await startWorkers({
        address: inject('temporalAddress'),
        namespace: testNamespace,
        keys: payloadKeys,
        activities: { ...change(usual), ...createProbeActivities({ ...probing, ...changeProbe }) },
        onError: (activity, error) => {
          if (process.env['TRAILKEEPER_TEST_LOG']) console.error(`${activity}:`, error);
        },
        graceMs: 1000,
        taskQueues,
        only: 'provisioning',
        bundle,
      });
      running.push(workers);
      return workers;
    },
    trailOf: openActive,
    async close() {
      await Promise.allSettled(running.map((workers) => workers.stop()));
      await api.stop();
      stopping.abort();
      await following;
      await runner.stop();
      await temporal.connection.close();
      await dropOurs();
      await Promise.all([...Object.values(clients), ...Object.values(own ?? {})].map((client) => client.close()));
      await rm(folder, { recursive: true, force: true });
    },
  };
};
