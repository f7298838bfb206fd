/** The indexes of every collection, besides MongoDB's own on `_id`. A new query adds its index here. */
import type { ControlCollection, InstanceCollection } from './collections.ts';

export interface CollectionIndex {
  /** Field paths in order, ascending (1) or descending (-1). MongoDB derives the index's name from them. */
  readonly key: Readonly<Record<string, 1 | -1>>;
  readonly unique?: true;
}

/**
 * `events`: the projection's `_id` is the log index, so an index that ends in `_id` gives its rows in log order, and
 * pages by log index stay stable under writes.
 */
export const instanceIndexes: Partial<Record<InstanceCollection, readonly CollectionIndex[]>> = {
  events: [
    { key: { id: 1 }, unique: true },
    { key: { corr: 1, _id: 1 } },
    { key: { run: 1, _id: 1 } },
    { key: { emitter: 1, seq: 1 } },
    { key: { res: 1, _id: 1 } },
    { key: { channel: 1, _id: 1 } },
    { key: { principal: 1, _id: 1 } },
    { key: { action: 1, _id: 1 } },
    { key: { system: 1, _id: 1 } },
  ],
};

export const controlIndexes: Partial<Record<ControlCollection, readonly CollectionIndex[]>> = {
  instances: [{ key: { logId: 1 } }],
  // What was written since the archive's last copy.
  // And what is under an epoch that was closed, if anything.
  keys: [{ key: { instance: 1, at: 1 } }, { key: { instance: 1, epoch: 1 } }],
  subjects: [{ key: { instance: 1, at: 1 } }],
  connectors: [{ key: { instance: 1, at: 1 } }],
  // The newest of each is the one in force.
  policies: [{ key: { instance: 1, index: -1 } }],
  versions: [{ key: { instance: 1, kind: 1, name: 1, index: -1 } }],
  delegations: [{ key: { instance: 1, from: 1, to: 1, index: -1 } }],
  // What a witness cosigned last, also where that was long ago or never.
  cosignatures: [{ key: { origin: 1, witness: 1, size: -1, timeS: -1 } }],
};
