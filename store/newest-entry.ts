/**
 * Documents of the control state say by which entry they became what they are. A document never goes back to an older
 * entry: an applier that was stopped in the middle, lost its lease and goes on later changes nothing.
 */
import { MongoServerError, type Collection, type MatchKeysAndValues, type MongoClient } from 'mongodb';
import { controlDatabase, majority } from '../trail/database.ts';
import type { ControlCollection } from './provisioning/collections.ts';

export interface AppliedDocument {
  /** `<instance>/<name>` */
  _id: string;
  instance: string;
  /** Log index of the entry that made it what it is. */
  index: number;
}

export const controlCollection = <T extends { _id: string }>(
  client: MongoClient,
  name: ControlCollection,
): Collection<T> => client.db(controlDatabase).collection<T>(name, majority);

/** Makes or replaces a document, unless a later entry, or the same one, already did. */
export const putUnlessNewer = async <T extends AppliedDocument>(
  collection: Collection<T>,
  document: T,
): Promise<void> => {
  const { _id, index } = document;
  try {
    await collection.replaceOne({ _id, index: { $lt: index } } as never, document, { upsert: true });
  } catch (error) {
    // It is there with this index or a later one: the upsert then tries to insert it a second time.
    if (!(error instanceof MongoServerError && error.code === 11_000)) throw error;
  }
};

/** Changes fields of a document that is there, unless a later entry, or the same one, already did. */
export const changeUnlessNewer = async <T extends AppliedDocument>(
  collection: Collection<T>,
  id: string,
  fields: Partial<Omit<T, '_id'>> & { index: number },
): Promise<void> => {
  await collection.updateOne({ _id: id, index: { $lt: fields.index } } as never, {
    $set: fields as unknown as MatchKeysAndValues<T>,
  });
};
