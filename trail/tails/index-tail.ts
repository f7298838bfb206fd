/** Writes the index and the state of the emitters. Rows never change, so writing one again changes nothing. */
import { MongoBulkWriteError, type AnyBulkWriteOperation, type Collection, type MongoClient } from 'mongodb';
import { emptyEmitter, observe } from '../../domain/emitters.ts';
import { emittersOf, indexOf, indexRow, indexTail, type EmitterRow } from '../projection.ts';
import type { Tail, TailedBatch } from './tail.ts';

export const createIndexTail = (client: MongoClient): Tail => ({
  name: indexTail,
  client,
  async apply(batch) {
    const rows = batch.entries.map(({ index, segment, bytes, leaf, entry }) =>
      indexRow(index, segment, bytes, leaf, entry),
    );
    await insertMissing(indexOf(client, batch.instance), rows);
    await observeEmitters(client, batch);
  },
});

/** Inserts documents that never change; those that stand there already are left as they are. */
export const insertMissing = async <T extends { _id: string | number }>(
  collection: Collection<T>,
  documents: readonly T[],
): Promise<void> => {
  if (documents.length === 0) return;
  try {
    await collection.insertMany(documents as never, { ordered: false });
  } catch (error) {
    const present =
      error instanceof MongoBulkWriteError && [error.writeErrors].flat().every(({ code }) => code === 11_000);
    if (!present || error.result.getWriteConcernError()) throw error;
  }
};

const observeEmitters = async (client: MongoClient, { instance, entries }: TailedBatch): Promise<void> => {
  const emitters = emittersOf(client, instance);
  const ids = [...new Set(entries.map(({ entry }) => entry.emitter.id))];
  const states = new Map(ids.map((id) => [id, emptyEmitter]));
  for (const { _id, ...state } of await emitters.find({ _id: { $in: ids } }).toArray()) states.set(_id, state);
  for (const { entry } of entries)
    states.set(entry.emitter.id, observe(states.get(entry.emitter.id)!, entry.emitter.sequence).state);
  const writes = [...states].map(([_id, replacement]): AnyBulkWriteOperation<EmitterRow> => ({
    replaceOne: { filter: { _id }, replacement, upsert: true },
  }));
  await emitters.bulkWrite(writes, { ordered: false });
};
