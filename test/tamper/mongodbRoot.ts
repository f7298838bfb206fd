/** What MongoDB's root can do to the record: each of them to one segment or more, as documents. */
import { Binary, type Document } from 'mongodb';
import { decodeBundle, encodeBundle } from '../../domain/tree/bundle.ts';
import { appendLeaves, decodeEdge, encodeEdge } from '../../domain/tree/edge.ts';
import { leafHashes } from '../../domain/tree/hash.ts';
import type { TestLog } from '../verification/open.ts';

export interface Tampering {
  /** A segment as it was. */
  readonly segment: (first: number) => Document;
  readonly write: (document: Document) => Promise<unknown>;
  readonly remove: (first: number) => Promise<unknown>;
}

/** Keeps the record, and puts it back after each tampering. */
export const tampering = async (test: TestLog) => {
  const record = test.as('record');
  const kept = await record.find().toArray();
  const root: Tampering = {
    segment: (first) => kept.find((document) => (document['_id'] as unknown) === first)!,
    write: (document) => record.replaceOne({ _id: document['_id'] as never }, document, { upsert: true }),
    remove: (first) => record.deleteOne({ _id: first as never }),
  };
  return {
    root,
    /** Index of the first entry of each segment. */
    firsts: kept.flatMap(({ _id }) => (typeof _id === 'number' ? [_id] : [])).toSorted((a, b) => a - b),
    /** Indexes of the documents of boxes. */
    boxes: kept.filter(({ _id }) => typeof _id !== 'number'),
    async drill<T>(tamper: (root: Tampering) => Promise<unknown>, look: () => Promise<T>): Promise<T> {
      await tamper(root);
      try {
        return await look();
      } finally {
        await record.deleteMany({});
        await record.insertMany(kept);
      }
    },
  };
};

export const flipped = (binary: Binary, at: number): Binary => {
  const bytes = Buffer.from(binary.buffer);
  bytes[at]! ^= 1;
  return new Binary(bytes);
};

/** Where the bytes of an entry begin in a bundle. */
export const startOf = (bundle: Binary, position: number): number => {
  const bytes = Buffer.from(bundle.buffer);
  let at = 0;
  for (let i = 0; i < position; i += 1) at += 2 + bytes.readUInt16BE(at);
  return at + 2;
};

export const entriesOf = ({ entries }: Document): Buffer[] => decodeBundle((entries as Binary).buffer);

export const withEntries = (segment: Document, entries: readonly Buffer[]): Document => ({
  ...segment,
  entries: new Binary(encodeBundle(entries)),
});

/** A segment with these entries that hangs together by itself: hashes, root and edge are made anew after `before`. */
export const consistent = (segment: Document, before: Document | undefined, entries: readonly Buffer[]): Document => {
  const first = segment['_id'] as unknown as number;
  const edge = before ? decodeEdge((before['edge'] as Binary).buffer, first) : [];
  const leaves = leafHashes(entries);
  const grown = appendLeaves(edge, first, leaves);
  return {
    ...withEntries(segment, entries),
    leaves: new Binary(leaves),
    root: new Binary(grown.root),
    edge: new Binary(encodeEdge(grown.edge)),
  };
};

/** The same entry, with one thing in it said otherwise and as many bytes. */
export const saidOtherwise = (entry: Buffer): Buffer => {
  const text = entry.toString('utf8');
  const changed = text.replace('"success"', '"failure"');
  if (changed === text) throw new Error('the entry has no outcome to change');
  return Buffer.from(changed);
};
