/** Temporal workers: one a task queue, so that no amount of work of one kind keeps the other waiting. */
import { fileURLToPath } from 'node:url';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkflowBundle,
} from '@temporalio/worker';
import { failureInterceptor } from '../../activities/failures.ts';
import { heartbeatInterceptor } from '../../activities/heartbeat.ts';
import { traceInterceptor } from '../../activities/trace.ts';
import { taskQueues, type TaskQueues } from '../../domain/action/contract.ts';
import type { TemporalAddress } from './client.ts';
import type { TemporalKeys } from './codec.ts';
import { dataConverter, failureConverterPath } from './dataConverter.ts';

export interface WorkersOptions extends TemporalAddress {
  readonly keys: TemporalKeys;
  readonly activities: object;
  /** Told of every failed execution of an activity. */
  readonly onError: (activity: string, error: unknown) => void;
  /** How long calls under way may take to end when the workers stop. */
  readonly graceMs?: number;
  /** Module whose exports are the workflows; for tests. */
  readonly workflowsPath?: string;
  readonly bundle?: WorkflowBundle;
  /** Instead of the usual ones: tests share a server. */
  readonly taskQueues?: TaskQueues;
  /** Serves this kind of work only. */
  readonly only?: keyof TaskQueues;
  /** Workflows that are kept in memory; with none, no other worker waits for this one. */
  readonly cachedWorkflowsMax?: number;
}

export interface RunningWorkers {
  /** Resolves when all have stopped; rejects where one failed. */
  readonly done: Promise<void>;
  isHealthy(): boolean;
  /** Lets activities end, and then the workers. */
  stop(): Promise<void>;
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Warnings and worse, by their messages and codes: what else Temporal attaches may be a failure's words. */
const quiet = new DefaultLogger('WARN', ({ level, message, meta }) => {
  const { activityType, workflowType, workflowId } = (meta ?? {}) as Record<string, unknown>;
  const about = [activityType, workflowType, workflowId].filter((part) => typeof part === 'string').join(' ');
  process.stderr.write(`temporal ${level.toLowerCase()}: ${message}${about === '' ? '' : ` (${about})`}\n`);
});

/** Activities of maintenance at once: each may be long and heavy, and none is in a hurry. */
const maintenanceMax = 4;

let runtimeInstalled = false;

/** Once a process, before its first worker. */
const installRuntime = (): void => {
  if (runtimeInstalled) return;
  runtimeInstalled = true;
  Runtime.install({ logger: quiet, shutdownSignals: [] });
};

export const bundleWorkflows = (workflowsPath = path('../../workflows/index.ts')): Promise<WorkflowBundle> =>
  bundleWorkflowCode({
    workflowsPath,
    workflowInterceptorModules: [path('../../workflows/trace.ts')],
    failureConverterPath,
    logger: quiet,
  });

export const startWorkers = async (options: WorkersOptions): Promise<RunningWorkers> => {
  installRuntime();
  const workflowBundle = options.bundle ?? (await bundleWorkflows(options.workflowsPath));
  const connection = await NativeConnection.connect({ address: options.address });
  const queues = options.taskQueues ?? taskQueues;
  const workers: Worker[] = [];
  try {
    for (const taskQueue of options.only ? [queues[options.only]] : [queues.actions, queues.runs, queues.maintenance])
      workers.push(
        await Worker.create({
          connection,
          namespace: options.namespace,
          taskQueue,
          workflowBundle,
          activities: options.activities,
          dataConverter: dataConverter(options.keys),
          shutdownGraceTime: options.graceMs ?? 30_000,
          ...(taskQueue === queues.maintenance && { maxConcurrentActivityTaskExecutions: maintenanceMax }),
          ...(options.cachedWorkflowsMax !== undefined && { maxCachedWorkflows: options.cachedWorkflowsMax }),
          interceptors: {
            activity: [
              (context) => ({ inbound: failureInterceptor(options.onError, context.info.activityType) }),
              () => ({ inbound: traceInterceptor }),
              () => ({ inbound: heartbeatInterceptor }),
            ],
          },
        }),
      );
  } catch (error) {
    await connection.close();
    throw error;
  }
  const running = Promise.all(workers.map((worker) => worker.run()));
  const done = running.then(
    () => connection.close(),
    async (error: unknown) => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      throw error;
    },
  );
  done.catch(() => undefined);
  return {
    done,
    isHealthy: () => workers.every((worker) => worker.getState() === 'RUNNING'),
    async stop() {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await done;
    },
  };
};
