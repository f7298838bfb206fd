/**
 * The worker process: carries runs and guarded actions, and runs the tails (index, tiles, control state) of every
 * instance. It holds the MongoDB users of its duties only; any number of them can run beside each other. `/healthz` says
 * how it is; SIGTERM and SIGINT let what is under way end, and then end it.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { connectorOf, toolNamed } from '../activities/connectors/registry.ts';
import { createActivities } from '../activities/createActivities.ts';
import { logToStderr, placeOf, type Log } from '../api/log.ts';
import type { InstanceId } from '../schema/ids.ts';
import { createControlTail } from '../store/applier.ts';
import { findArchiveDemand } from '../store/archives.ts';
import { findFollowed, findInstance, listFollowed } from '../store/instances.ts';
import { recordVoids } from '../store/voids.ts';
import { KeysMissing } from '../trail/keys/require-keys.ts';
import { KeyUses } from '../trail/keys/uses.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import { createIndexTail } from '../trail/tails/index-tail.ts';
import { TailRunner } from '../trail/tails/runner.ts';
import { createTileTail } from '../trail/tails/tile-tail.ts';
import { acknowledgeByArchive } from '../trail/archive/acknowledgement.ts';
import { openTrail, type Trail } from '../trail/trail.ts';
import { archivedPlaceOf, archivesOf, startArchiving } from './archiving.ts';
import { ConfigError, dutyUris, loadConfig, processDuties, requireServers, type Config } from './config.ts';
import { serveHealth } from './health.ts';
import { keyActivities, startKeeping } from './keeping.ts';
import { openKeyProvider, untilKeysAreThere } from './keys.ts';
import { actionInstance, temporalKeys, UnknownInstance } from './temporal/instances.ts';
import { createTemporalClient } from './temporal/client.ts';
import { keepWorking } from './temporal/keepWorking.ts';
import { bundleWorkflows, startWorkers } from './temporal/workers.ts';
import { startCheckSchedules, verificationActivities } from './verifying.ts';
import { startWitnessing } from './witnessing.ts';

const serverSelectionMs = 5000;
/** How soon a new instance is noticed. */
const instancesEveryMs = 5000;

export interface RunningWorker {
  readonly port: number;
  /** True while the tails and the Temporal workers run. */
  isHealthy(): boolean;
  stop(): Promise<void>;
}

type Clients = Record<(typeof processDuties.worker)[number], MongoClient>;

export const startWorker = async (config: Config, log: Log = logToStderr): Promise<RunningWorker> => {
  const { mongodbUri, temporalAddress } = requireServers(config);
  const uris = dutyUris(config, mongodbUri, processDuties.worker);
  const clients = Object.fromEntries(
    processDuties.worker.map((duty) => [
      duty,
      new MongoClient(uris[duty], { serverSelectionTimeoutMS: serverSelectionMs }),
    ]),
  ) as Clients;
  const keys = openKeyProvider(config);
  keys.uses = new KeyUses('worker');
  try {
    await untilKeysAreThere(clients.reader, keys, {
      onWait: (error) =>
        log({ level: 'warn', message: 'the keys can not be looked at now; trying again', ...placeOf(error) }),
    });
  } catch (error) {
    await Promise.all(Object.values(clients).map((client) => client.close()));
    throw error;
  }
  const archives = archivesOf(config.archive);
  const trails = new Opened(
    (instance) => openInstanceTrail(instance, clients, keys, config, archives, () => tails.wake(instance)),
    // A closed log goes on under another name at any moment.
    ({ closing }) => closing !== undefined,
  );
  const opened = new Opened(
    async (instance) => {
      const trail = await trails.get(instance);
      return { trail, action: actionInstance({ instance, trail, keys, reader: clients.reader }) };
    },
    ({ trail: { closing } }) => closing !== undefined,
  );
  const instances = { get: async (instance: InstanceId) => (await opened.get(instance)).action };
  const payloadKeys = temporalKeys(
    clients.appender,
    keys,
    async (instance) => (await findInstance(clients.reader, instance)) !== undefined,
  );
  const stopping = new AbortController();

  const tails = followLogs(clients, keys, trails, stopping.signal, log);
  const witnessing = startWitnessing({
    client: clients.witness,
    trailOf: (instance) => trails.get(instance),
    ...config.witnesses,
    log,
  });
  const archiving = startArchiving({
    config: config.archive,
    client: clients.archiver,
    archiveOf: archives,
    trailOf: (instance) => trails.get(instance),
    log,
  });
  const temporalClient = createTemporalClient(
    { address: temporalAddress, namespace: config.temporal.namespace },
    payloadKeys,
  );
  const verifying = {
    config: config.selfCheck,
    clients,
    keys,
    temporal: temporalClient,
    trailOf: (instance: InstanceId) => trails.get(instance),
    archiveOf: archives,
    log,
  };
  const keeping = {
    clients,
    keys,
    trailOf: (instance: InstanceId) => trails.get(instance),
    log,
  };
  const keeper = startKeeping(keeping);
  const checkSchedules = startCheckSchedules(verifying);
  const temporal = keepWorking(
    async () =>
      startWorkers({
        address: temporalAddress,
        namespace: config.temporal.namespace,
        keys: payloadKeys,
        activities: {
          ...createActivities({
            open: (instance) => instances.get(instance),
            tools: { toolNamed, connectorOf },
            onDefect: (tool, error) =>
              log({ level: 'error', message: 'a connector failed by itself', tool, ...placeOf(error) }),
            nowMs: Date.now,
          }),
          ...keyActivities(keeping),
          ...verificationActivities(verifying),
        },
        onError: (activity, error) =>
          log({ level: 'warn', message: 'an activity will be tried again', activity, ...placeOf(error) }),
        bundle: await bundled(),
      }),
    stopping.signal,
    log,
  );
  const isHealthy = () => temporal.isHealthy() && !stopping.signal.aborted;
  const health = await serveHealth(config.worker, isHealthy);
  return {
    port: health.port,
    isHealthy,
    async stop() {
      stopping.abort();
      await keeper.stop();
      await checkSchedules.stop();
      await temporal.done;
      await temporalClient.connection.close().catch(() => undefined);
      await witnessing.stop();
      await archiving.stop();
      await tails.done;
      await health.close();
      await Promise.all(Object.values(clients).map((client) => client.close()));
    },
  };
};

/** Made once a process: a restart of the workers needs no new one. */
const bundled = (): ReturnType<typeof bundleWorkflows> => {
  bundle ??= bundleWorkflows();
  bundle.catch(() => (bundle = undefined));
  return bundle;
};
let bundle: ReturnType<typeof bundleWorkflows> | undefined;

/** What belongs to each instance, made when it is first needed; what failed is tried again. */
class Opened<T> {
  readonly #make: (instance: InstanceId) => Promise<T>;
  readonly #passing: (made: T) => boolean;
  readonly #made = new Map<InstanceId, Promise<T>>();

  /** `passing`: what is to be made anew by the next who asks. */
  constructor(make: (instance: InstanceId) => Promise<T>, passing: (made: T) => boolean = () => false) {
    this.#make = make;
    this.#passing = passing;
  }

  get(instance: InstanceId): Promise<T> {
    const known = this.#made.get(instance);
    if (known) return known;
    const making = this.#make(instance);
    this.#made.set(instance, making);
    making.catch(() => this.#made.delete(instance));
    void making.then((made) => this.#passing(made) && this.#made.delete(instance)).catch(() => undefined);
    return making;
  }
}

const openInstanceTrail = async (
  instance: InstanceId,
  clients: Clients,
  keys: KeyProvider,
  { horizonMs }: Config,
  archives: ReturnType<typeof archivesOf>,
  onAppended: () => void,
): Promise<Trail> => {
  const record = await findFollowed(clients.reader, instance);
  if (!record) throw new UnknownInstance('there is no instance of this name');
  const trail = await openTrail(instance, record.origin, {
    clients,
    keys,
    writer: { horizonMs, onAppended },
    places: [archivedPlaceOf(instance, archives, clients.reader)],
  });
  const demand = () => findArchiveDemand(clients.reader, instance);
  acknowledgeByArchive(trail.writer, { client: clients.reader, instance, demand });
  return trail;
};

interface FollowedLogs {
  /** Something was appended in this process. */
  wake(instance: InstanceId): void;
  /** Resolves after the signal, when the tails have ended. */
  readonly done: Promise<void>;
}

/** Runs the tails over the logs of all instances, new ones too. */
const followLogs = (
  clients: Clients,
  keys: KeyProvider,
  trails: Opened<Trail>,
  signal: AbortSignal,
  log: Log,
): FollowedLogs => {
  const onVoid = recordVoids({
    writerOf: async (instance) => (await trails.get(instance)).writer,
    alarm: ({ instance, index, reason: { code } }) =>
      log({ level: 'error', message: 'a control entry has no effect', instance, index, code }),
  });
  const runner = new TailRunner({
    owner: randomUUID(),
    tails: [
      createIndexTail(clients.projector),
      createTileTail(clients.projector),
      createControlTail(clients.applier, keys, onVoid),
    ],
    onError: (tail, instance, error) =>
      log({ level: 'error', message: 'a tail will be tried again', tail, instance, ...placeOf(error) }),
  });
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        for (const { instance } of await listFollowed(clients.reader)) runner.follow(instance);
      } catch (error) {
        log({ level: 'warn', message: 'the instances can not be listed now', ...placeOf(error) });
      }
      await delay(instancesEveryMs, undefined, { signal }).catch(() => undefined);
    }
    await runner.stop();
  };
  return { wake: (instance) => runner.wake(instance), done: follow() };
};

const main = async (): Promise<void> => {
  const config = loadConfig(process.env);
  const worker = await startWorker(config);
  logToStderr({ level: 'info', message: 'working', host: config.worker.host, port: worker.port });
  let stopping: Promise<void> | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      stopping ??= worker.stop().then(() => process.exit(0));
    });
};

if (import.meta.main)
  await main().catch((error: unknown) => {
    const known =
      error instanceof ConfigError ||
      error instanceof KeysMissing ||
      (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    console.error(known ? (error as Error).message : placeOf(error));
    process.exit(1);
  });
