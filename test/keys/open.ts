/** A log with its tails, and workers that rotate its keys. */
import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { WorkflowBundle } from '@temporalio/worker';
import { inject } from 'vitest';
import { createKeyActivities } from '../../activities/keys/createKeyActivities.ts';
import type { TaskQueues } from '../../domain/action/contract.ts';
import type { DestructionResult, KeyActivities, RotatedKey, RotationResult } from '../../domain/keys/contract.ts';
import { createTemporalClient } from '../../stack/temporal/client.ts';
import { temporalKeys } from '../../stack/temporal/instances.ts';
import { bundleWorkflows, startWorkers, type RunningWorkers } from '../../stack/temporal/workers.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import type { destroyEpochKey, rotateKey, rotateMasterKey } from '../../workflows/keys.ts';
import { testNamespace } from '../setup/servers.ts';
import { openTestControl, type TestControl } from '../store/control.ts';

export interface TestKeys extends TestControl {
  readonly temporal: Client;
  readonly activities: KeyActivities;
  /** Starts a worker; `changes` replace activities. */
  work(changes?: Partial<KeyActivities>): Promise<RunningWorkers>;
  rotate(key: RotatedKey, overlapMs?: number): Promise<RotationResult>;
  destroyEpoch(epoch: number): Promise<DestructionResult>;
  rotateMaster(): Promise<{ from: string; to: string }>;
  /** Entries of key changes in log order, with their payload. */
  keyEntries(): Promise<IndexedEvent[]>;
}

let bundling: Promise<WorkflowBundle> | undefined;

export const openTestKeys = async (provider?: KeyProvider): Promise<TestKeys> => {
  bundling ??= bundleWorkflows();
  const bundle = await bundling;
  const control = await openTestControl(provider);
  const { instance, trail, database, state } = control;
  const address = { address: inject('temporalAddress'), namespace: testNamespace };
  const keys = temporalKeys(database.clients.appender, control.keys);
  const temporal = createTemporalClient(address, keys);
  const id = randomBytes(4).toString('hex');
  const taskQueues: TaskQueues = {
    actions: `actions-${id}`,
    runs: `runs-${id}`,
    maintenance: `maintenance-${id}`,
    provisioning: `provisioning-${id}`,
  };
  const activities = createKeyActivities({
    open: () => Promise.resolve({ trail, control: state }),
    provider: control.keys,
    keeper: database.clients.keeper,
  });
  control.follow();
  control.tails();
  const running: RunningWorkers[] = [];
  const requestedBy = { principal: 'ines', kind: 'human' } as never;
  const start = <W extends (input: never) => Promise<unknown>>(name: string, input: Parameters<W>[0]) =>
    temporal.workflow.execute(name, {
      taskQueue: taskQueues.maintenance,
      workflowId: `${instance}/keys/${randomBytes(4).toString('hex')}`,
      args: [input],
    }) as ReturnType<W>;
  return {
    ...control,
    temporal,
    activities,
    async work(changes = {}) {
      const workers = await startWorkers({
        ...address,
        keys,
        activities: { ...activities, ...changes },
        onError: (activity, error) => {
          if (process.env['TEST_VERBOSE']) console.error(`${activity}:`, error);
        },
        graceMs: 1000,
        taskQueues,
        only: 'maintenance',
        bundle,
      });
      running.push(workers);
      return workers;
    },
    rotate: (key, overlapMs = 1) => start<typeof rotateKey>('rotateKey', { instance, key, overlapMs, requestedBy }),
    destroyEpoch: (epoch) => start<typeof destroyEpochKey>('destroyEpochKey', { instance, epoch, requestedBy }),
    rotateMaster: () => start<typeof rotateMasterKey>('rotateMasterKey', { instance, requestedBy }),
    async keyEntries() {
      await trail.reader.fresh(30_000);
      const actions = ['key.rotate', 'key.retire', 'key.destroy', 'key.outcome'];
      const found = await trail.reader.find({ action: { $in: actions } }, { limit: 100 });
      return trail.reader.withParts(found, () => true);
    },
    async close() {
      await Promise.allSettled(running.map((workers) => workers.stop()));
      await temporal.connection.close();
      await control.close();
    },
  };
};
