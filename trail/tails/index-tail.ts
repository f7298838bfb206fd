/** Writes the index and the state of the emitters. Rows never change, so writing one again changes nothing. */
import type { AnyBulkWriteOperation, MongoClient } from 'mongodb';
import { emptyEmitter, observe } from '../../domain/emitters.ts';
import { insertMissing } from '../insert-missing.ts';
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
