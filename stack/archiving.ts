/** The archiving of a worker: the tails of all instances, under the MongoDB user of its duty. */
import { randomUUID } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import { z } from 'zod';
import { placeOf, type Log } from '../api/log.ts';
import { parseVkey } from '../domain/tree/note.ts';
import type { InstanceId } from '../schema/ids.ts';
import { recordLag } from '../store/archive-alarms.ts';
import { findArchiveDemand } from '../store/archives.ts';
import { formerLogs } from '../store/former-logs.ts';
import { listInstances } from '../store/instances.ts';
import { ArchiveError } from '../trail/archive/errors.ts';
import { archivedPlace, openArchive } from '../trail/archive/place.ts';
import type { CheckpointPlace } from '../trail/anchor.ts';
import type { ArchiveStore } from '../trail/archive/store.ts';
import { listVerifierKeys } from '../trail/keys/signing.ts';
import { ArchiveTail } from '../trail/tails/archive-tail.ts';
import type { Trail } from '../trail/trail.ts';
import type { Config } from './config.ts';

type ArchiveConfig = Config['archive'];

const credentialShape = z.strictObject({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) });

/** The instance's own credential, from `<folder>/<instance>.json`, which nobody else may read. Throws ARCHIVE_INVALID. */
export const credentialOf = async (folder: string, instance: InstanceId) => {
  const path = join(folder, `${instance}.json`);
  try {
    if (((await stat(path)).mode & 0o077) !== 0)
      throw new ArchiveError('ARCHIVE_INVALID', `${path} can be read by others: chmod 600 it`);
    return credentialShape.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    throw new ArchiveError(
      'ARCHIVE_INVALID',
      `${path} is not there, or does not hold {"accessKeyId", "secretAccessKey"} as strings`,
    );
  }
};

/** Opens the archive of each instance once a process; what failed is tried again. */
export const archivesOf = (config: ArchiveConfig): ((instance: InstanceId) => Promise<ArchiveStore>) => {
  const { credentialsFolder } = config;
  const opened = new Map<InstanceId, Promise<ArchiveStore>>();
  return (instance) => {
    const known = opened.get(instance);
    if (known) return known;
    const opening = openArchive(instance, {
      ...config,
      ...(credentialsFolder !== undefined && { credentials: (name) => credentialOf(credentialsFolder, name) }),
      nowMs: Date.now,
    });
    opened.set(instance, opening);
    opening.catch(() => opened.delete(instance));
    return opening;
  };
};

/** The archive as a place that the instance's log must agree with before a writer extends it. */
export const archivedPlaceOf = (
  instance: InstanceId,
  archiveOf: (instance: InstanceId) => Promise<ArchiveStore>,
  reader: MongoClient,
): CheckpointPlace =>
  archivedPlace(
    () => archiveOf(instance),
    async () => ({
      kind: 'trusted',
      keys: (await listVerifierKeys(reader, instance)).map(({ vkey }) => parseVkey(vkey)),
    }),
  );

export interface ArchivingOptions {
  readonly config: ArchiveConfig;
  /** Archiver duty. */
  readonly client: MongoClient;
  readonly archiveOf: (instance: InstanceId) => Promise<ArchiveStore>;
  readonly trailOf: (instance: InstanceId) => Promise<Trail>;
  readonly log: Log;
}

const instancesEveryMs = 5000;
/** What changes now and then is looked up so often. */
const settingsMs = 1000;

/** Running; `stop` lets the ranges that are being written end. */
export const startArchiving = (options: ArchivingOptions): { stop(): Promise<void> } => {
  const { config, client, archiveOf, trailOf, log } = options;
  const stopping = new AbortController();
  const open = remembered(async (instance: InstanceId) => {
    const { origin, signing, closing } = await trailOf(instance);
    // Nothing is appended to a closed log, and all that it has is in the archive.
    if (closing) return undefined;
    const demand = await findArchiveDemand(client, instance);
    const former = await formerLogs(client, instance);
    const store = archiveOf(instance);
    // Told where it is used.
    store.catch(() => undefined);
    return {
      store,
      origin,
      keys: [...(await signing.keys()), ...former].map(({ vkey }) => parseVkey(vkey)),
      gatherMs: demand?.acknowledge === 'archive' ? 0 : config.gatherMs,
      lagMsMax: demand?.lagMsMax ?? config.lagMsMax,
      lockMs: config.lockMs,
    };
  }, settingsMs);
  const tail = new ArchiveTail({
    owner: randomUUID(),
    client,
    open,
    async onLag(report) {
      const { state, instance, index } = report;
      log({
        level: state === 'behind' ? 'error' : 'info',
        message: state === 'behind' ? 'the archive lags too far behind' : 'the archive has caught up',
        instance,
        index,
      });
      await recordLag((await trailOf(instance)).writer, report, Date.now());
    },
    onError: (_tail, instance, error) =>
      log({ level: 'error', message: 'the archive will be tried again', instance, ...placeOf(error) }),
    nowMs: Date.now,
  });
  const following = (async () => {
    while (!stopping.signal.aborted) {
      try {
        for (const { instance } of await listInstances(client)) tail.follow(instance);
      } catch (error) {
        log({ level: 'warn', message: 'the instances can not be listed now', ...placeOf(error) });
      }
      await delay(instancesEveryMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await following;
      await tail.stop();
    },
  };
};

const remembered = <T>(ask: (instance: InstanceId) => Promise<T>, ms: number) => {
  const known = new Map<InstanceId, { readonly at: number; readonly answer: Promise<T> }>();
  return (instance: InstanceId): Promise<T> => {
    const last = known.get(instance);
    if (last && performance.now() - last.at < ms) return last.answer;
    const answer = ask(instance);
    known.set(instance, { at: performance.now(), answer });
    answer.catch(() => known.delete(instance));
    return answer;
  };
};
