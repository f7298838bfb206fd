/** Writes the index and the state of the emitters. Rows never change, so writing one again changes nothing. */
import type { AnyBulkWriteOperation, MongoClient } from 'mongodb';
import { emptyEmitter, observe } from '../../domain/emitters.ts';
import { insertMissing, nothingButPresent } from '../insert-missing.ts';
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

const observeEmitters = async (client: MongoClient, batch: TailedBatch): Promise<void> => {
  // Another owner of the tail may write between reading and writing: its state is read, and taken on from there.
  while (!(await observed(client, batch)));
};

const observed = async (client: MongoClient, { instance, entries }: TailedBatch): Promise<boolean> => {
  const emitters = emittersOf(client, instance);
  const ids = [...new Set(entries.map(({ entry }) => entry.emitter.id))];
  const states = new Map(ids.map((id) => [id, { state: emptyEmitter, through: -1, changed: false }]));
  for (const { _id, through, ...state } of await emitters.find({ _id: { $in: ids } }).toArray())
    states.set(_id, { state, through, changed: false });
  for (const { index, entry } of entries) {
    const { id, sequence } = entry.emitter;
    const { state, through } = states.get(id)!;
    if (index > through) states.set(id, { state: observe(state, sequence).state, through: index, changed: true });
  }
  const writes = [...states].flatMap(([_id, { state, through, changed }]): AnyBulkWriteOperation<EmitterRow>[] => {
    const replacement = { ...state, through };
    return changed ? [{ replaceOne: { filter: { _id, through: { $lt: through } }, replacement, upsert: true } }] : [];
  });
  if (writes.length === 0) return true;
  try {
    await emitters.bulkWrite(writes, { ordered: false });
    return true;
  } catch (error) {
    // An upsert whose filter a newer state does not fit.
    if (nothingButPresent(error)) return false;
    throw error;
  }
};
