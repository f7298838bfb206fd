/** Where things are in MongoDB, and how they are read and written. */
import type { InstanceId } from '../schema/ids.ts';

export const controlDatabase = 'tk_control';
export const instanceDatabase = (instance: InstanceId): string => `tk_${instance}`;

/**
 * Everything that the log rests on is written to a majority with the journal on disk, and read from a majority:
 * with local reads a failover once left two acknowledged segments overlapping.
 */
export const majority = {
  writeConcern: { w: 'majority', journal: true },
  readConcern: { level: 'majority' },
} as const;
