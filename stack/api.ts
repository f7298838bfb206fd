/**
 * The API process. It holds the MongoDB users of its duties (config.ts), never the administrator's; any number of them
 * can run beside each other. `/healthz` and `/readyz` say how it is; SIGTERM and SIGINT end it gracefully.
 */
import { MongoClient } from 'mongodb';
import { connectors } from '../activities/connectors/registry.ts';
import { logToStderr } from '../api/log.ts';
import { ApiMetrics } from '../api/metrics.ts';
import { createApi, type Api } from '../api/server.ts';
import { createServices } from '../api/services.ts';
import type { Duty } from '../store/provisioning/duties.ts';
import { KeysMissing } from '../trail/keys/require-keys.ts';
import { KeyUses } from '../trail/keys/uses.ts';
import { archivedPlaceOf, archivesOf } from './archiving.ts';
import { ConfigError, dutyUris, loadConfig, processDuties, requireServers, type Config } from './config.ts';
import { openKeyProvider, untilKeysAreThere } from './keys.ts';
import { createTemporalClient } from './temporal/client.ts';
import { temporalKeys } from './temporal/instances.ts';
import { createToolCatalogue } from './temporal/toolCatalogue.ts';

/** While MongoDB is away, a request is told so after this long, and the next one tries again. */
const serverSelectionMs = 5000;

export interface RunningApi {
  readonly port: number;
  stop(): Promise<void>;
}

type Clients = Record<(typeof processDuties.api)[number], MongoClient>;

export const startApi = async (config: Config): Promise<RunningApi> => {
  const { mongodbUri, temporalAddress } = requireServers(config);
  const uris = dutyUris(config, mongodbUri, processDuties.api);
  const clients = Object.fromEntries(
    processDuties.api.map((duty: Duty & keyof typeof uris) => [
      duty,
      new MongoClient(uris[duty], { serverSelectionTimeoutMS: serverSelectionMs }),
    ]),
  ) as Clients;
  const keys = openKeyProvider(config);
  keys.uses = new KeyUses('api');
  try {
    await untilKeysAreThere(clients.reader, keys, {
      onWait: () => logToStderr({ level: 'warn', message: 'the keys can not be looked at now; trying again' }),
    });
  } catch (error) {
    await Promise.all(Object.values(clients).map((client) => client.close()));
    throw error;
  }
  const temporal = createTemporalClient(
    { address: temporalAddress, namespace: config.temporal.namespace },
    temporalKeys(clients.appender, keys),
  );
  const metrics = new ApiMetrics();
  const archives = archivesOf(config.archive);
  const services = createServices({
    clients,
    keys,
    temporal,
    tools: createToolCatalogue(connectors),
    metrics,
    writer: { horizonMs: config.horizonMs },
    placesOf: (instance) => [archivedPlaceOf(instance, archives, clients.reader)],
    checkIntervalsMs: config.selfCheck.intervalsMs,
  });
  const { publicUrl, introspection } = config;
  const api: Api = createApi({ services, reader: clients.reader, metrics, publicUrl, introspection });
  const port = await api.listen(config.api.host, config.api.port);
  return {
    port,
    async stop() {
      await api.stop();
      await Promise.all([
        ...Object.values(clients).map((client) => client.close()),
        temporal.connection.close().catch(() => undefined),
      ]);
    },
  };
};

const main = async (): Promise<void> => {
  const config = loadConfig(process.env);
  const api = await startApi(config);
  logToStderr({ level: 'info', message: 'listening', host: config.api.host, port: api.port });
  let stopping: Promise<void> | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      stopping ??= api.stop().then(() => process.exit(0));
    });
};

if (import.meta.main)
  await main().catch((error: unknown) => {
    const known =
      error instanceof ConfigError ||
      error instanceof KeysMissing ||
      (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    console.error(known ? (error as Error).message : error);
    process.exit(1);
  });
