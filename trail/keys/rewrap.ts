/**
 * Wraps the secrets of an instance anew under its current epoch key: nothing that was encrypted under a secret changes.
 * Goes by id, so that it can be interrupted anywhere and begun again, beside processes that read and make secrets. A
 * secret is replaced only where it still is what was read: a tombstone that was written meanwhile stays.
 */
import { randomBytes } from 'node:crypto';
import { Binary, type Collection, type MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { writtenNow } from '../database.ts';
import { TrailError } from '../errors.ts';
import { isGone, Keyring, type KeyringDocument } from './keyring.ts';
import type { KeyProvider } from './provider.ts';
import { keysOf } from './secrets.ts';
import { signingKeysOf, verifierKeysOf, verifierName } from './signing.ts';

interface WrappedDocument {
  _id: string;
  instance: string;
  epoch: number;
  wrapped?: Binary;
}

export interface RewrapProgress {
  /** Wrapped anew so far. */
  readonly rewrapped: number;
  /** Where it has come; given to the next call, it goes on from there. */
  readonly after: string;
}

export interface RewrapOptions {
  readonly after?: string;
  readonly onProgress?: (progress: RewrapProgress) => void;
  readonly signal?: AbortSignal;
}

export interface Rewrapped {
  readonly rewrapped: number;
  /** Names of secrets that do not open under the key that they are said to be under; at most 10. */
  readonly unreadable: readonly string[];
}

const documentsPerCall = 500;

/** `client`: keeper duty. Throws like the provider where a key can't be had. */
export const rewrapAll = async (
  client: MongoClient,
  provider: KeyProvider,
  instance: InstanceId,
  options: RewrapOptions = {},
): Promise<Rewrapped> => {
  const keyring = new Keyring(instance, provider, client);
  const places: [Collection<WrappedDocument>, (name: string) => string][] = [
    [keysOf(client) as unknown as Collection<WrappedDocument>, (name) => name],
    [signingKeysOf(client) as unknown as Collection<WrappedDocument>, (name) => name],
    [
      verifierKeysOf(client) as unknown as Collection<WrappedDocument>,
      (name) => verifierName(Number(name.slice(name.lastIndexOf('/') + 1))),
    ],
  ];
  let rewrapped = 0;
  const unreadable: string[] = [];
  for (const [place, [collection, nameOf]] of places.entries()) {
    const [from, after] = cursorOf(options.after);
    if (place < from) continue;
    let last = place === from && after !== '' ? after : `${instance}/`;
    for (;;) {
      options.signal?.throwIfAborted();
      const ring = await keyring.refresh();
      if (!ring) return { rewrapped, unreadable };
      const documents = await collection
        .find({ instance, _id: { $gt: last, $lt: `${instance}0` }, epoch: { $gt: 0, $ne: ring.current } })
        .sort({ _id: 1 })
        .limit(documentsPerCall)
        .toArray();
      if (documents.length === 0) break;
      const done = await rewrapSome(collection, keyring, ring, documents, nameOf);
      rewrapped += done.rewrapped;
      unreadable.push(...done.unreadable.slice(0, 10 - unreadable.length));
      last = documents.at(-1)!._id;
      options.onProgress?.({ rewrapped, after: `${place} ${last}` });
    }
  }
  return { rewrapped, unreadable };
};

const cursorOf = (after: string | undefined): [number, string] => {
  const match = /^(\d+) (.*)$/s.exec(after ?? '');
  return match ? [Number(match[1]), match[2]!] : [0, ''];
};

const rewrapSome = async (
  collection: Collection<WrappedDocument>,
  keyring: Keyring,
  ring: KeyringDocument,
  documents: readonly WrappedDocument[],
  nameOf: (name: string) => string,
): Promise<Rewrapped> => {
  const writes = [];
  const unreadable: string[] = [];
  for (const document of documents) {
    const { _id, epoch, wrapped } = document;
    const name = nameOf(_id.slice(keyring.instance.length + 1));
    const state = keyring.stateOf(ring, epoch);
    // Written by a process that was frozen until its epoch was gone: nobody ever used it, so another takes its place.
    const stray = state !== undefined && isGone(state);
    const secret = stray ? randomBytes(32) : await keyring.unwrap(epoch, name, wrapped!.buffer).catch(unreadableOnly);
    if (!secret) {
      unreadable.push(name);
      continue;
    }
    const anew = await keyring.wrap(name, secret);
    const replacement = { ...document, epoch: anew.epoch, wrapped: new Binary(anew.wrapped), at: writtenNow };
    writes.push({ replaceOne: { filter: { _id, epoch, wrapped: wrapped! }, replacement } });
  }
  if (writes.length === 0) return { rewrapped: 0, unreadable };
  const { modifiedCount } = await collection.bulkWrite(writes, { ordered: false });
  return { rewrapped: modifiedCount, unreadable };
};

const unreadableOnly = (error: unknown): undefined => {
  if (error instanceof TrailError && error.code === 'KEY_UNAVAILABLE') return undefined;
  throw error;
};

/** How many secrets are under this epoch still. */
export const countUnder = async (client: MongoClient, instance: InstanceId, epoch: number): Promise<number> => {
  const filter = { instance, epoch };
  const counts = await Promise.all([
    keysOf(client).countDocuments(filter),
    signingKeysOf(client).countDocuments(filter),
    verifierKeysOf(client).countDocuments(filter),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
};
