/** Workers that carry self-verification of one test log, and a client that asks for it. */
import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { WorkflowBundle } from '@temporalio/worker';
import { inject } from 'vitest';
import { createVerificationActivities } from '../../activities/verification/createVerificationActivities.ts';
import type { TaskQueues } from '../../domain/action/contract.ts';
import type { CheckRates, VerificationActivities } from '../../domain/verification/contract.ts';
import type { TemporalKeys } from '../../stack/temporal/codec.ts';
import { createTemporalClient } from '../../stack/temporal/client.ts';
import { temporalKeys } from '../../stack/temporal/instances.ts';
import { bundleWorkflows, startWorkers, type RunningWorkers } from '../../stack/temporal/workers.ts';
import { testNamespace } from '../setup/servers.ts';
import type { TestLog } from './open.ts';

export interface TestWork {
  readonly temporal: Client;
  readonly taskQueues: TaskQueues;
  readonly activities: VerificationActivities;
  /** `changes` replace activities. */
  work(changes?: Partial<VerificationActivities>): Promise<RunningWorkers>;
  close(): Promise<void>;
}

export const testRates: CheckRates = { sampledEntries: 50, entriesPerSecond: 0 };

let bundling: Promise<WorkflowBundle> | undefined;

export const openTestWork = async (test: TestLog, payloadKeys?: TemporalKeys): Promise<TestWork> => {
  bundling ??= bundleWorkflows();
  const bundle = await bundling;
  const address = { address: inject('temporalAddress'), namespace: testNamespace };
  const { appender, projector } = test.database.clients;
  const keys = payloadKeys ?? temporalKeys(appender, test.keys, (name) => Promise.resolve(name === test.instance));
  const temporal = createTemporalClient(address, keys);
  const id = randomBytes(4).toString('hex');
  const taskQueues = {
    actions: `actions-${id}`,
    runs: `runs-${id}`,
    maintenance: `maintenance-${id}`,
    provisioning: `provisioning-${id}`,
  };
  const activities = createVerificationActivities({
    open: () => Promise.resolve({ trail: test.trail, log: test.log }),
    rates: testRates,
    projector,
  });
  const running: RunningWorkers[] = [];
  return {
    temporal,
    taskQueues,
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
    async close() {
      await Promise.allSettled(running.map((workers) => workers.stop()));
      await temporal.connection.close();
    },
  };
};
