/**
 * How far the archive of an instance has come, in MongoDB: the cursor of its tail. It moves only after the checkpoint is
 * in the archive, and only under the newest fencing epoch.
 */
import { MongoServerError, type Collection, type MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { instanceDatabase, majority } from '../database.ts';
import type { TailRow } from '../projection.ts';
import type { ClusterTime } from './manifest.ts';

/** Name of the archive among the tails. */
export const archiveTail = 'archive';

/** What is to be archived next. Kept before it is begun, so that whoever goes on writes the same objects. */
export interface PlannedRange {
  readonly size: number;
  readonly rowsThrough: ClusterTime;
}

export interface ArchiveRow extends TailRow {
  planned?: PlannedRange;
  /** When the objects' locks were looked through last. */
  locksAt?: Date;
  /** First index that was not archived when the alarm of too great a lag was raised; absent while there is none. */
  alarm?: number;
}

export const archiveRowsOf = (client: MongoClient, instance: InstanceId): Collection<ArchiveRow> =>
  client.db(instanceDatabase(instance)).collection<ArchiveRow>('tails', majority);

/** Number of entries that are in the archive. */
export const archivedSize = async (client: MongoClient, instance: InstanceId): Promise<number> =>
  (await archiveRowsOf(client, instance).findOne({ _id: archiveTail }))?.next ?? 0;

/** The row, taken over under this fence; undefined where a newer owner has it. */
export const takeArchiveRow = async (
  client: MongoClient,
  instance: InstanceId,
  fence: number,
): Promise<ArchiveRow | undefined> => {
  try {
    const row = await archiveRowsOf(client, instance).findOneAndUpdate(
      { _id: archiveTail, fence: { $lte: fence } },
      { $set: { fence }, $setOnInsert: { next: 0 } },
      { upsert: true, returnDocument: 'after', writeConcern: majority.writeConcern },
    );
    return row ?? undefined;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === 11_000) return undefined;
    throw error;
  }
};

/** Changes the row, unless a newer owner has it or it has moved: then false. */
export const changeArchiveRow = async (
  client: MongoClient,
  instance: InstanceId,
  { fence, next }: Pick<ArchiveRow, 'fence' | 'next'>,
  change: {
    readonly next?: number;
    readonly planned?: PlannedRange | null;
    readonly alarm?: number | null;
    readonly locksAt?: Date;
  },
): Promise<boolean> => {
  const $set: Record<string, unknown> = {};
  const $unset: Record<string, ''> = {};
  for (const [field, value] of Object.entries(change)) {
    if (value === null) $unset[field] = '';
    else $set[field] = value;
  }
  const changed = await archiveRowsOf(client, instance).updateOne(
    { _id: archiveTail, fence, next },
    {
      ...(Object.keys($set).length > 0 && { $set: $set as never }),
      ...(Object.keys($unset).length > 0 && { $unset: $unset as never }),
    },
    majority,
  );
  return changed.matchedCount === 1;
};
