/** Whether the process lives, and whether what it needs can be reached. Neither says anything about an instance. */
import type { Client } from '@temporalio/client';
import type { MongoClient } from 'mongodb';

const probeMs = 2000;

export interface Readiness {
  readonly ready: boolean;
  readonly mongodb: 'ok' | 'away';
  readonly temporal: 'ok' | 'away';
}

/** The record can be read without Temporal, so without it the process is still ready; actions then are refused. */
export const readiness = async (reader: MongoClient, temporal: Client): Promise<Readiness> => {
  const [mongodb, temporalState] = await Promise.all([
    within(reader.db('admin').command({ ping: 1 }, { timeoutMS: probeMs })),
    within(temporal.connection.withDeadline(Date.now() + probeMs, () => temporal.workflowService.getSystemInfo({}))),
  ]);
  return { ready: mongodb === 'ok', mongodb, temporal: temporalState };
};

const within = async (probe: Promise<unknown>): Promise<'ok' | 'away'> => {
  const timeout = Promise.withResolvers<'away'>();
  const timer = setTimeout(() => timeout.resolve('away'), probeMs);
  try {
    return await Promise.race([
      probe.then(
        () => 'ok' as const,
        () => 'away' as const,
      ),
      timeout.promise,
    ]);
  } finally {
    clearTimeout(timer);
  }
};
