/** Self-verification in a worker: its activities, its schedules, and how long ago each kind of check ended. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { MongoClient } from 'mongodb';
import { placeOf, type Log } from '../api/log.ts';
import { taskQueues } from '../domain/action/contract.ts';
import { parseVkey } from '../domain/tree/note.ts';
import type { CheckRates } from '../domain/verification/contract.ts';
import { overdueKinds, type CheckIntervals } from '../domain/verification/schedule.ts';
import { createVerificationActivities } from '../activities/verification/createVerificationActivities.ts';
import type { VerificationInstance } from '../activities/verification/deps.ts';
import type { InstanceId } from '../schema/ids.ts';
import { formerLogs } from '../store/former-logs.ts';
import { listInstances } from '../store/instances.ts';
import type { ArchiveStore } from '../trail/archive/store.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import { Secrets } from '../trail/keys/secrets.ts';
import { PartReader } from '../trail/parts.ts';
import type { Trail } from '../trail/trail.ts';
import { lastChecks } from '../trail/verification/last-checks.ts';
import { ensureCheckSchedules } from './temporal/checkSchedules.ts';

export interface SelfCheckConfig {
  readonly intervalsMs: CheckIntervals;
  readonly rates: CheckRates;
}

export interface VerifyingOptions {
  readonly config: SelfCheckConfig;
  readonly clients: { readonly reader: MongoClient; readonly projector: MongoClient };
  readonly keys: KeyProvider;
  readonly temporal: Client;
  readonly trailOf: (instance: InstanceId) => Promise<Trail>;
  readonly archiveOf: (instance: InstanceId) => Promise<ArchiveStore>;
  readonly log: Log;
}

/** How soon a new instance gets its schedules, and one that was paused or removed is put right. */
const schedulesEveryMs = 60_000;
const schedulesRetryMs = 5000;

/** What a check reads, as a worker does: with the reader's duty, and with the keys for payload. */
export const verificationInstance = async (
  instance: InstanceId,
  { reader, keys, trail }: { reader: MongoClient; keys: KeyProvider; trail: Trail },
): Promise<VerificationInstance> => ({
  trail,
  log: {
    instance,
    origin: trail.origin,
    keys: await trail.signing.keys(),
    client: reader,
    parts: new PartReader(instance, new Secrets(instance, keys, reader), reader),
  },
});

export const verificationActivities = ({ config, clients, keys, trailOf, archiveOf }: VerifyingOptions) => {
  const { reader, projector } = clients;
  return createVerificationActivities({
    open: async (instance) => {
      const opened = await verificationInstance(instance, { reader, keys, trail: await trailOf(instance) });
      const former = await formerLogs(reader, instance);
      const trusted = [...opened.log.keys, ...former.map(({ vkey }) => parseVkey(vkey))];
      return { ...opened, archive: { store: await archiveOf(instance), trust: { kind: 'trusted', keys: trusted } } };
    },
    rates: config.rates,
    projector,
  });
};

/** Says so in the worker's own log where the last check of a kind is too long ago, whatever became of its schedule. */
const tellOverdue = async (
  { config, trailOf, log }: VerifyingOptions,
  instance: InstanceId,
  created: Date,
): Promise<void> => {
  const { reader } = await trailOf(instance);
  const last = await lastChecks(reader);
  const ended = Object.fromEntries(
    Object.entries(last).map(([kind, { entry }]) => [kind, Date.parse(entry.receivedTime)]),
  );
  const about = { intervalsMs: config.intervalsMs, createdMs: created.getTime(), nowMs: Date.now() };
  for (const kind of overdueKinds(ended, about))
    log({ level: 'error', message: 'self-verification is overdue', instance, kind });
};

/** Looks after the schedules of all instances; `stop` ends that. */
export const startCheckSchedules = (options: VerifyingOptions): { stop(): Promise<void> } => {
  const { config, clients, temporal, log } = options;
  const stopping = new AbortController();
  const schedules = {
    client: temporal,
    intervalsMs: config.intervalsMs,
    taskQueue: taskQueues.maintenance,
    onMended: (instance: InstanceId, kind: string) =>
      log({
        level: 'warn',
        message: 'a schedule of self-verification was paused or changed, and is put right',
        instance,
        kind,
      }),
  };
  const done = (async () => {
    while (!stopping.signal.aborted) {
      let waitMs = schedulesEveryMs;
      try {
        for (const { instance, created } of await listInstances(clients.reader)) {
          await ensureCheckSchedules(schedules, instance);
          await tellOverdue(options, instance, created);
        }
      } catch (error) {
        waitMs = schedulesRetryMs;
        log({
          level: 'warn',
          message: 'the schedules of self-verification will be looked at again',
          ...placeOf(error),
        });
      }
      await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
};
