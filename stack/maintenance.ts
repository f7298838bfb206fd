/**
 * The maintenance process: creates instances, and probes the boundaries between them. It alone holds the administrator's connection to MongoDB, serves no
 * requests, and takes its work from Temporal: whoever wants something of it must be able to start that workflow with the
 * platform's own key. It first sees to the platform's own instances. Any number of them can run beside each other.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { createInstanceActivities } from '../activities/instances/createInstanceActivities.ts';
import { createProbeActivities } from '../activities/probe/createProbeActivities.ts';
import { logToStderr, placeOf, type Log } from '../api/log.ts';
import { canaryInstance, platformInstance } from '../domain/instances/names.ts';
import type { InstanceId } from '../schema/ids.ts';
import { findInstance } from '../store/instances.ts';
import { checkAuthority } from '../store/provisioning/authority.ts';
import { KeysMissing } from '../trail/keys/require-keys.ts';
import { openTrail } from '../trail/trail.ts';
import { archivesOf } from './archiving.ts';
import { ConfigError, dutyUris, loadConfig, processDuties, requireServers, type Config } from './config.ts';
import { serveHealth } from './health.ts';
import { archiveAttempts, keepProbing, payloadAttempts } from './probing.ts';
import { adminUri } from './provision.ts';
import { beginOwnInstance, emptyArchive, furnish, instanceSteps, type CreationParts } from './provision/creation.ts';
import { newInstanceSpec } from './provision/new-instance.ts';
import { canaryProber, canarySpec, platformSpec } from './provision/platform.ts';
import { openKeyProvider, untilKeysAreThere } from './keys.ts';
import { ServersError } from './servers/errors.ts';
import { createTemporalClient } from './temporal/client.ts';
import { temporalKeys } from './temporal/instances.ts';
import { keepWorking } from './temporal/keepWorking.ts';
import { bundleWorkflows, startWorkers } from './temporal/workers.ts';

const serverSelectionMs = 5000;
const retryMs = 5000;

export interface RunningMaintenance {
  readonly port: number;
  isHealthy(): boolean;
  stop(): Promise<void>;
}

type Clients = Record<(typeof processDuties.maintenance)[number] | 'admin', MongoClient>;

export const startMaintenance = async (config: Config, log: Log = logToStderr): Promise<RunningMaintenance> => {
  const { mongodbUri, temporalAddress } = requireServers(config);
  const uris = { ...dutyUris(config, mongodbUri, processDuties.maintenance), admin: adminUri(config) };
  const clients = Object.fromEntries(
    Object.entries(uris).map(([name, uri]) => [
      name,
      new MongoClient(uri, { serverSelectionTimeoutMS: serverSelectionMs }),
    ]),
  ) as Clients;
  const keys = openKeyProvider(config);
  const archives = archivesOf(config.archive);
  const parts: CreationParts = { clients, keys, archive: emptyArchive(archives), publicUrl: config.publicUrl };
  const stopping = new AbortController();
  const closeClients = () => Promise.all(Object.values(clients).map((client) => client.close()));
  try {
    await untilKeysAreThere(clients.reader, keys);
    const authority = await checkAuthority(clients.admin);
    if (authority.state === 'lacking')
      throw new ServersError('MONGODB_UNFIT', `Instances can't be created: ${authority.reason}.`);
    await requirePlatformToken(config, clients.reader);
  } catch (error) {
    await closeClients();
    throw error;
  }

  const payloadKeys = temporalKeys(
    clients.appender,
    keys,
    async (instance) => (await findInstance(clients.reader, instance)) !== undefined,
  );
  const temporalClient = createTemporalClient(
    { address: temporalAddress, namespace: config.temporal.namespace },
    payloadKeys,
  );
  const probing = keepProbing(temporalClient, config.maintenance.probeEveryMs, stopping.signal, log);
  const platform = seeToOwn(parts, config, stopping.signal, log);
  const temporal = keepWorking(
    async () =>
      startWorkers({
        address: temporalAddress,
        namespace: config.temporal.namespace,
        keys: payloadKeys,
        only: 'provisioning',
        activities: {
          ...createInstanceActivities({
            steps: instanceSteps(parts),
            openPlatform: (instance) => openActive(parts, instance),
            furnish: async (trail, request) => void (await furnish(parts, trail, newInstanceSpec(request))),
            nowMs: Date.now,
          }),
          ...createProbeActivities({
            clients,
            api: config.maintenance.probeUrl,
            prober: canaryProber,
            openTrail: (instance) => openActive(parts, instance),
            others: (target) => [
              ...archiveAttempts(config.archive, archives, target),
              ...payloadAttempts(payloadKeys, target),
            ],
            onBreach: (boundary) => log({ level: 'error', message: 'a boundary between instances gave way', boundary }),
            nowMs: Date.now,
          }),
        },
        onError: (activity, error) =>
          log({ level: 'warn', message: 'an activity will be tried again', activity, ...placeOf(error) }),
        bundle: await bundled(),
      }),
    stopping.signal,
    log,
  );
  const isHealthy = () => temporal.isHealthy() && !stopping.signal.aborted;
  const health = await serveHealth(config.maintenance, isHealthy);
  return {
    port: health.port,
    isHealthy,
    async stop() {
      stopping.abort();
      await Promise.all([temporal.done, platform, probing]);
      await temporalClient.connection.close().catch(() => undefined);
      await health.close();
      await closeClients();
    },
  };
};

const bundled = (): ReturnType<typeof bundleWorkflows> => {
  bundle ??= bundleWorkflows();
  bundle.catch(() => (bundle = undefined));
  return bundle;
};
let bundle: ReturnType<typeof bundleWorkflows> | undefined;

/** Before there is a platform instance, somebody must be named who may enter it. Throws ConfigError. */
const requirePlatformToken = async ({ maintenance }: Config, reader: MongoClient): Promise<void> => {
  if (maintenance.platformTokenSha256 !== undefined || (await findInstance(reader, platformInstance))) return;
  throw new ConfigError([
    'TRAILKEEPER_PLATFORM_TOKEN_SHA256 is not set, and there is no platform instance yet: nobody could create instances',
  ]);
};

const openActive = async ({ clients, keys }: CreationParts, instance: InstanceId) => {
  const record = await findInstance(clients.reader, instance);
  if (!record) throw new Error('the instance is not there yet');
  return openTrail(instance, record.origin, { clients, keys });
};

/** Until both are there: a worker must run, which applies their entries. What is there is left as it is. */
const seeToOwn = async (parts: CreationParts, config: Config, signal: AbortSignal, log: Log): Promise<void> => {
  const { platformAdmin, platformTokenSha256 } = config.maintenance;
  const own = [
    ...(platformTokenSha256 === undefined
      ? []
      : [{ instance: platformInstance, spec: platformSpec(platformAdmin, platformTokenSha256) }]),
    { instance: canaryInstance, spec: canarySpec },
  ];
  for (const { instance, spec } of own)
    while (!signal.aborted) {
      try {
        if (await findInstance(parts.clients.reader, instance)) break;
        const begun = await beginOwnInstance(parts, instance);
        await begun.furnish(spec);
        await begun.activate();
        log({ level: 'info', message: 'the instance is there', instance });
        break;
      } catch (error) {
        log({ level: 'warn', message: 'the instance is not there yet', instance, ...placeOf(error) });
        await delay(retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
};

const main = async (): Promise<void> => {
  const config = loadConfig(process.env);
  const maintenance = await startMaintenance(config);
  logToStderr({ level: 'info', message: 'working', host: config.maintenance.host, port: maintenance.port });
  let stopping: Promise<void> | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      stopping ??= maintenance.stop().then(() => process.exit(0));
    });
};

if (import.meta.main)
  await main().catch((error: unknown) => {
    const known =
      error instanceof ConfigError ||
      error instanceof KeysMissing ||
      error instanceof ServersError ||
      (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    console.error(known ? (error as Error).message : placeOf(error));
    process.exit(1);
  });
