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
  const take = () =>
    leases.findOneAndUpdate(
      { _id: id, $or: [{ owner }, { $expr: { $lt: ['$until', '$$NOW'] } }] },
      [
        {
          $set: {
            fence: { $cond: [{ $eq: ['$owner', owner] }, '$fence', { $add: ['$fence', 1] }] },
            owner,
            until: { $add: ['$$NOW', leaseMs] },
          },
        },
      ],
      { returnDocument: 'after', writeConcern: majority.writeConcern },
    );
  const taken = await take();
  if (taken) return taken.fence;
  try {
    await leases.insertOne({ _id: id, owner: '', fence: 0, until: new Date(0) }, majority);
  } catch (error) {
    if (error instanceof MongoServerError && error.code === 11_000) return undefined;
    throw error;
  }
  return (await take())?.fence;
};

/**
 * Puts the fence of a lease above another one, where `owner` still holds it under `from`; undefined where not. For a lease
 * that was lost and began anew below what a cursor has seen: nobody could ever move that cursor again.
 */
export const raiseFence = async (
  client: MongoClient,
  id: string,
  owner: string,
  { from, above }: { readonly from: number; readonly above: number },
): Promise<number | undefined> => {
  const leases: Collection<LeaseDocument> = client.db(controlDatabase).collection('leases', majority);
  const raised = await leases.findOneAndUpdate(
    { _id: id, owner, fence: from },
    { $set: { fence: above + 1 } },
    { returnDocument: 'after', writeConcern: majority.writeConcern },
  );
  return raised?.fence;
};

/** Lets another process take over at once. */
export const releaseLease = async (client: MongoClient, id: string, owner: string): Promise<void> => {
  const leases: Collection<LeaseDocument> = client.db(controlDatabase).collection('leases', majority);
  await leases.updateOne({ _id: id, owner }, { $set: { until: new Date(0) } });
};
