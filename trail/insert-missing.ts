import { MongoBulkWriteError, type Collection } from 'mongodb';
import { majority } from './database.ts';

/**
 * Inserts documents that never change; those that stand there already are left as they are. Returns only when all of
 * them are with a majority; an unknown result is settled by inserting the same documents again.
 */
export const insertMissing = async <T extends { _id: unknown }>(
  collection: Collection<T>,
  documents: readonly T[],
): Promise<void> => {
  if (documents.length === 0) return;
  try {
    await insert(collection, documents);
  } catch {
    await insert(collection, documents);
  }
};

const insert = async <T>(collection: Collection<T & { _id: unknown }>, documents: readonly T[]): Promise<void> => {
  try {
    await collection.insertMany(documents as never, { ordered: false, ...majority });
  } catch (error) {
    if (!nothingButPresent(error)) throw error;
  }
};

/** A bulk error may also wrap a cut connection, and then has no write errors at all. */
export const nothingButPresent = (error: unknown): boolean => {
  if (!(error instanceof MongoBulkWriteError) || error.result.getWriteConcernError()) return false;
  const writeErrors = [error.writeErrors].flat();
  return writeErrors.length > 0 && writeErrors.every(({ code }) => code === 11_000);
};
