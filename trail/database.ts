/** Where things are in MongoDB, and how they are read and written. */
import { Timestamp } from 'mongodb';
import type { InstanceId } from '../schema/ids.ts';

export const controlDatabase = 'tk_control';
export const instanceDatabase = (instance: InstanceId): string => `tk_${instance}`;

/**
 * The record of an instance: segments (`_id` a number) and documents of boxes (`_id` a digest), side by side, so that
 * one command writes a segment together with the boxes that it lists, and in that order.
 */
export const recordCollection = 'record';

/**
 * Everything that the log rests on is written to a majority with the journal on disk, and read from a majority:
 * with local reads a failover once left two acknowledged segments overlapping.
 */
export const majority = {
  writeConcern: { w: 'majority', journal: true },
  readConcern: { level: 'majority' },
} as const;

/**
 * As the field `at` of a document that the archive copies (keys, subjects, staged credentials): MongoDB puts its cluster
 * time in place of an empty timestamp on insert and replacement, so that what was written since can be found without
 * trusting the clock of any process. An update that changes such a document sets it anew: `{ $currentDate: { at: { $type:
 * 'timestamp' } } }`; otherwise the archive goes on with the older version.
 */
export const writtenNow: Timestamp = new Timestamp({ t: 0, i: 0 });
