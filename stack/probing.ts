/** The isolation probe in the maintenance process: what it tries besides the API's doors and MongoDB, and its schedule. */
import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { Attempt } from '../activities/probe/attempt.ts';
import type { Target } from '../activities/probe/target.ts';
import { placeOf, type Log } from '../api/log.ts';
import { taskQueues } from '../domain/action/contract.ts';
import { canaryInstance, platformInstance } from '../domain/instances/names.ts';
import { scheduledProbeId, type ProbeInput } from '../domain/isolation/contract.ts';
import { ArchiveError } from '../trail/archive/errors.ts';
import { openArchive } from '../trail/archive/place.ts';
import type { ArchiveStore } from '../trail/archive/store.ts';
import { credentialOf } from './archiving.ts';
import type { Config } from './config.ts';
import { createCodec, type TemporalKeys } from './temporal/codec.ts';

/** Held: there is no such object in the canary's place, whatever the name leads to. */
const readAs =
  (store: () => Promise<ArchiveStore>, name: string): Attempt['make'] =>
  async () => {
    try {
      return (await (await store()).get(name)) === undefined ? 'refused' : 'crossed';
    } catch (error) {
      if (error instanceof RangeError || (error instanceof ArchiveError && error.code === 'ARCHIVE_REFUSED'))
        return 'refused';
      throw error;
    }
  };

export const archiveAttempts = (
  config: Config['archive'],
  archiveOf: (instance: typeof canaryInstance) => Promise<ArchiveStore>,
  { instance }: Pick<Target, 'instance'>,
): Attempt[] => {
  const canary = () => archiveOf(canaryInstance);
  const names = [
    `../${instance}/checkpoint`,
    `x/../../${instance}/checkpoint`,
    `/${instance}/checkpoint`,
    `..\\${instance}\\checkpoint`,
  ];
  const { place, credentialsFolder } = config;
  return [
    ...names.map((name, position): Attempt => ({
      boundary: 'archive',
      attempt: `object by a name that leads elsewhere (${position + 1})`,
      make: readAs(canary, name),
    })),
    ...(place.kind === 's3'
      ? [
          {
            boundary: 'archive' as const,
            attempt: "checkpoint under the canary's credential",
            make: readAs(
              () =>
                openArchive(instance, {
                  ...config,
                  ...(credentialsFolder !== undefined && {
                    credentials: () => credentialOf(credentialsFolder, canaryInstance),
                  }),
                  nowMs: Date.now,
                }),
              'checkpoint',
            ),
          },
        ]
      : []),
  ];
};

/** What the canary's workflows hold opens in no workflow of another instance, and the other way about. */
export const payloadAttempts = (keys: TemporalKeys, { instance }: Pick<Target, 'instance'>): Attempt[] => {
  const codec = createCodec(keys);
  const context = (owner: string) => ({ type: 'workflow', namespace: '', workflowId: `${owner}/run/probe` }) as const;
  const opens = async (from: string, to: string): Promise<'refused' | 'crossed'> => {
    const sealed = await codec.encode([defaultPayloadConverter.toPayload('probe')], context(from));
    const [opened] = await codec.decode(sealed, context(to));
    try {
      return defaultPayloadConverter.fromPayload(opened!) === 'probe' ? 'crossed' : 'refused';
    } catch {
      return 'refused';
    }
  };
  return [
    { boundary: 'payload', attempt: "the canary's in the other", make: () => opens(canaryInstance, instance) },
    { boundary: 'payload', attempt: "the other's in the canary", make: () => opens(instance, canaryInstance) },
  ];
};

const retryMs = 5000;
const lookMs = 60_000;

/** Keeps the schedule there, as it is set, and not paused: nobody ends the probing for good who reaches Temporal alone. */
export const keepProbing = async (client: Client, everyMs: number, signal: AbortSignal, log: Log): Promise<void> => {
  const input: ProbeInput = { platform: platformInstance, attemptsMs: 600_000, retryMsMax: 30_000 };
  const id = scheduledProbeId(platformInstance);
  const wanted = {
    scheduleId: id,
    spec: { intervals: [{ every: everyMs }] },
    action: {
      type: 'startWorkflow' as const,
      workflowType: 'isolationProbe',
      workflowId: id,
      taskQueue: taskQueues.provisioning,
      args: [input],
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: everyMs },
  };
  const handle = client.schedule.getHandle(id);
  while (!signal.aborted) {
    let waitMs = lookMs;
    try {
      const { spec, state } = await handle.describe();
      if (state.paused || Number(spec.intervals?.[0]?.every) !== everyMs || spec.intervals?.length !== 1) {
        await handle.update(() => ({ ...wanted, state: { paused: false } }));
        log({ level: 'warn', message: 'the schedule of the isolation probe was not as it should be; it is again' });
      }
    } catch (error) {
      if (error instanceof ScheduleNotFoundError)
        await client.schedule.create(wanted).catch((cause: unknown) => {
          // Another process was first.
          if (!(cause instanceof ScheduleAlreadyRunning)) waitMs = retryMs;
        });
      else {
        waitMs = retryMs;
        log({ level: 'warn', message: 'the isolation probe can not be scheduled now', ...placeOf(error) });
      }
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
};
