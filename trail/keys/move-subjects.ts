/**
 * Moves the look-up of data subjects to the key of the current epoch, row by row. A crash leaves some rows under both
 * keys, of one subject each; the next call goes on. Where somebody made a row under the new key meanwhile, that one counts
 * (subjects.ts says why it can't be another subject's that anybody has seen).
 */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { TrailError } from '../errors.ts';
import { insertMissing } from '../insert-missing.ts';
import { openSubject, subjectDocument, subjectsOf } from '../subjects.ts';
import { LookupKey } from './lookup.ts';
import { secretName, type Secrets } from './secrets.ts';

const rowsPerCall = 500;

/** The look-up keys of the current epoch and of those before whose rows may be there. */
export const lookupKeysOf = async (
  secrets: Secrets,
  map: 'lookup' | 'identity',
): Promise<{ readonly current: LookupKey; of(epoch: number): Promise<LookupKey | undefined> }> => {
  const keyring = await secrets.keyring.refresh();
  if (!keyring) throw new TrailError('NOT_FOUND', 'the instance has no keys yet');
  const known = new Map<number, LookupKey>();
  const of = async (epoch: number): Promise<LookupKey | undefined> => {
    const present = known.get(epoch);
    if (present) return present;
    const name = secretName.lookup(epoch);
    const secret = (await secrets.find([name])).get(name);
    const key = secret && new LookupKey(epoch, secret, map);
    if (key) known.set(epoch, key);
    return key;
  };
  const current = secretName.lookup(keyring.current);
  const secret = (await secrets.ensure([current])).get(current)!;
  return { current: new LookupKey(keyring.current, secret, map), of };
};

export interface Moved {
  readonly moved: number;
  /** Rows that open under no key that there is. */
  readonly unreadable: number;
}

/** `client`, and that of `secrets`: keeper duty. */
export const moveSubjects = async (
  client: MongoClient,
  instance: InstanceId,
  secrets: Secrets,
  { onProgress, signal }: { onProgress?: (moved: number) => void; signal?: AbortSignal } = {},
): Promise<Moved> => {
  const rows = subjectsOf(client);
  const keys = await lookupKeysOf(secrets, 'lookup');
  let moved = 0;
  let unreadable = 0;
  for (let last = `${instance}/`; ;) {
    signal?.throwIfAborted();
    const found = await rows
      .find({ _id: { $gt: last, $lt: `${instance}0` }, lookup: { $ne: keys.current.epoch } })
      .sort({ _id: 1 })
      .limit(rowsPerCall)
      .toArray();
    if (found.length === 0) return { moved, unreadable };
    const anew = [];
    const done: string[] = [];
    for (const document of found) {
      const key = await keys.of(document.lookup);
      const row = key && openSubject(key, document);
      if (!row) {
        unreadable += 1;
        continue;
      }
      anew.push(subjectDocument(instance, keys.current, row));
      done.push(document._id);
    }
    await insertMissing(rows, anew);
    // Only when the new ones are with a majority.
    await rows.deleteMany({ _id: { $in: done } });
    moved += done.length;
    last = found.at(-1)!._id;
    onProgress?.(moved);
  }
};
