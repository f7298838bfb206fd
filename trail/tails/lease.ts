/**
 * Which process runs a tail of an instance. Time is MongoDB's own, so that clocks of processes don't matter; the
 * fencing epoch grows with each change of owner, and a cursor moves only under the newest one.
 */
import { MongoServerError, type Collection, type MongoClient } from 'mongodb';
import { controlDatabase, majority } from '../database.ts';

interface LeaseDocument {
  /** `<instance>/<tail>` */
  _id: string;
  owner: string;
  fence: number;
  until: Date;
}

export const leaseMs = 10_000;

/** The fencing epoch, or undefined where another process holds the lease. */
export const acquireLease = async (client: MongoClient, id: string, owner: string): Promise<number | undefined> => {
  const leases: Collection<LeaseDocument> = client.db(controlDatabase).collection('leases', majority);
  try {
    const lease = await leases.findOneAndUpdate(
      { _id: id, $or: [{ owner }, { $expr: { $lt: ['$until', '$$NOW'] } }] },
      [
        {
          $set: {
            fence: {
              $cond: [{ $eq: ['$owner', owner] }, '$fence', { $add: [{ $ifNull: ['$fence', 0] }, 1] }],
            },
            owner,
            until: { $add: ['$$NOW', leaseMs] },
          },
        },
      ],
      { upsert: true, returnDocument: 'after', writeConcern: majority.writeConcern },
    );
    return lease?.fence;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === 11_000) return undefined;
    throw error;
  }
};

/** Lets another process take over at once. */
export const releaseLease = async (client: MongoClient, id: string, owner: string): Promise<void> => {
  const leases: Collection<LeaseDocument> = client.db(controlDatabase).collection('leases', majority);
  await leases.updateOne({ _id: id, owner }, { $set: { until: new Date(0) } });
};
