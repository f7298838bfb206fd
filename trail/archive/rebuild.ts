/**
 * Rebuilds the record of one instance from its archive: range by range, everything verified on the way, in constant
 * memory. The log is closed before its first segment is written, so that at no moment anybody could extend a half-restored
 * one. What is there already from an interrupted run is gone on with; anything else is refused.
 */
import type { AnyBulkWriteOperation, Binary, Document, MongoClient } from 'mongodb';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { AnchoredCheckpoint } from '../anchor.ts';
import { boxesOf, type BoxDocument } from '../boxes.ts';
import { closeLog, type Closing } from '../closing.ts';
import { controlDatabase, majority, writtenNow } from '../database.ts';
import { insertMissing, nothingButPresent } from '../insert-missing.ts';
import { tailsOf } from '../projection.ts';
import { allSegments, parseEntry, segmentEntries, segmentsOf, type SegmentDocument } from '../segments.ts';
import { decodeDocuments } from './documents.ts';
import { ArchiveError } from './errors.ts';
import { loadHead, readManifest, readObject, type ArchivedHead, type KeyTrust } from './head.ts';
import type { Manifest } from './manifest.ts';
import { archivedCollections } from './record.ts';
import { requireRanges, readRange, type ArchiveRanges } from './ranges.ts';
import { replayRange } from './replay.ts';
import type { ArchivedRowDocument } from './seen-rows.ts';
import { archiveTail } from './state.ts';
import type { ArchiveStore } from './store.ts';

export interface RebuildOptions {
  readonly store: ArchiveStore;
  readonly instance: InstanceId;
  /** May do everything: an empty MongoDB has no users yet that could be asked. */
  readonly admin: MongoClient;
  readonly trust: KeyTrust;
  /** Checkpoints that were kept elsewhere, as signed notes: they tell what is younger than the archive. */
  readonly kept: readonly Uint8Array[];
  readonly progress: (entries: number, of: number) => void;
  /** Ends the rebuild between two ranges; the next run goes on there. */
  readonly signal?: AbortSignal;
}

export interface Rebuilt {
  readonly closing: Closing;
  /** The log's first origin, and when its first entry was received. */
  readonly first: { readonly origin: string; readonly receivedTime: string | undefined };
  /** Entries that are known to be lost: from the first on, to one before the largest size that was given out. */
  readonly missing: { readonly first: number; readonly size?: number };
}

/** Name of the cursor of a rebuild, beside those of the tails. */
const rebuildCursor = 'rebuild';
const batchBytesMax = 12 * 1024 * 1024;

/** Throws ArchiveError: ARCHIVE_ALTERED with the first bad object, REBUILD_REFUSED. */
export const rebuildRecord = async (options: RebuildOptions): Promise<Rebuilt> => {
  const { store, instance, admin, trust, progress, signal } = options;
  const ranges = await requireRanges(store, trust);
  const newest = (await readManifest(store, ranges.newest.size))!.manifest;
  if (newest.instance !== instance)
    throw new ArchiveError(
      'REBUILD_REFUSED',
      `${store.place} is the archive of ${newest.instance}, not of ${instance}`,
    );
  const knownSize = await knownBeyond(options, newest, ranges);
  const closing = await closingOf(options, newest, ranges, knownSize);
  let next = await startOrResume(options, closing, ranges);
  let head = await loadHead(store, next, trust);
  for (const end of ranges.ends.filter(({ size }) => size > next)) {
    if (signal?.aborted) throw new ArchiveError('ARCHIVE_UNAVAILABLE', 'the rebuild was interrupted; run it again');
    head = await restoreRange(options, head, end);
    next = end.size;
    await moveCursor(admin, instance, next);
    progress(next, ranges.newest.size);
  }
  const { origin } = (await readRange(store, ranges.ends[0]!)).manifest;
  await tailsOf(admin, instance).updateOne(
    { _id: archiveTail },
    { $setOnInsert: { next, fence: 0 } },
    { upsert: true, ...majority },
  );
  return {
    closing,
    first: { origin, receivedTime: await receivedTimeOfFirst(admin, instance) },
    missing: { first: next, ...(knownSize !== undefined && { size: knownSize }) },
  };
};

/** The largest size that a checkpoint kept elsewhere, or an anchor that survived, shows to have been given out. */
const knownBeyond = async (
  { admin, kept, trust }: RebuildOptions,
  { origin, vkey }: Manifest,
  { newest }: ArchiveRanges,
): Promise<number | undefined> => {
  const keys = trust.kind === 'trusted' ? trust.keys : [parseVkey(vkey)];
  const sizes = kept.map((note) => {
    const opened = openCheckpoint(note, keys, origin);
    if (opened.size === newest.size && !opened.root.equals(newest.root))
      throw new ArchiveError('REBUILD_REFUSED', `a checkpoint of size ${opened.size} that was kept is of another log`);
    return opened.size;
  });
  const anchors = admin.db(controlDatabase).collection<{ _id: string; size: number }>('anchors', majority);
  const survived = await anchors.findOne({ _id: { $gte: `${origin}#`, $lt: `${origin}$` } }, { sort: { _id: -1 } });
  const largest = Math.max(...sizes, survived?.size ?? 0);
  return largest > newest.size ? largest : undefined;
};

const closingOf = async (
  { store, instance }: RebuildOptions,
  manifest: Manifest,
  { newest }: ArchiveRanges,
  knownSize: number | undefined,
): Promise<Closing> => {
  const lists = manifest.objects.filter(({ name }) => name.startsWith('segments/'));
  let segment = -1;
  for (const list of lists)
    for (const { _id } of decodeDocuments<{ _id: number }>(list.name, await readObject(store, list)))
      segment = Math.max(segment, _id);
  return {
    origin: manifest.origin,
    instance,
    vkey: manifest.vkey,
    checkpoint: { size: newest.size, note: newest.note.toString('utf8'), segment },
    ...(knownSize !== undefined && { knownSize }),
  };
};

/** Closes the log, or finds it closed by an earlier run over the same archive. Gives the size to go on from. */
const startOrResume = async (
  { admin, instance }: RebuildOptions,
  closing: Closing,
  ranges: ArchiveRanges,
): Promise<number> => {
  const cursor = await tailsOf(admin, instance).findOne({ _id: rebuildCursor });
  if (!cursor && (await segmentsOf(admin, instance).findOne(allSegments)))
    throw new ArchiveError(
      'REBUILD_REFUSED',
      `${instance} has a record in this MongoDB: a rebuild goes into an empty one, and overwrites nothing`,
    );
  if (cursor && !ranges.ends.some(({ size }) => size === cursor.next) && cursor.next !== 0)
    throw new ArchiveError(
      'REBUILD_REFUSED',
      `an earlier rebuild came to ${cursor.next}, where this archive has no range`,
    );
  await requireClosing(admin, closing);
  if (!cursor) await moveCursor(admin, instance, 0);
  return cursor?.next ?? 0;
};

const requireClosing = async (admin: MongoClient, closing: Closing): Promise<void> => {
  const kept = await closeLog(admin, closing);
  if (kept.checkpoint.size !== closing.checkpoint.size || kept.checkpoint.note !== closing.checkpoint.note)
    throw new ArchiveError(
      'REBUILD_REFUSED',
      `the log was closed at ${kept.checkpoint.size} by an earlier rebuild, from an archive that ended there`,
    );
};

const moveCursor = async (admin: MongoClient, instance: InstanceId, next: number): Promise<void> => {
  await tailsOf(admin, instance).updateOne(
    { _id: rebuildCursor },
    { $set: { next, fence: 0 } },
    { upsert: true, ...majority },
  );
};

const restoreRange = async (
  { store, admin, instance, trust }: RebuildOptions,
  head: ArchivedHead,
  end: { readonly size: number; readonly sha256: string },
): Promise<ArchivedHead> => {
  const boxes = new Batch<BoxDocument>((documents) => insertMissing(boxesOf(admin, instance), documents));
  const segments = new Batch<SegmentDocument>((documents) => insertSegments(admin, instance, documents));
  const rows = new Batch<ArchivedRowDocument>((documents) => putRows(admin, documents));
  const range = await readRange(store, end);
  const replayed = await replayRange(store, head, range, trust, {
    payload: (document) => boxes.add(document, document.boxes.length()),
    row: (row) => rows.add(row, 1024),
    async segment(segment) {
      // No segment before its boxes, here as everywhere.
      await boxes.flush();
      await rows.flush();
      await segments.add(segment, segment.entries.length());
    },
  });
  await segments.flush();
  const { log } = replayed.head;
  const last = await segmentsOf(admin, instance).findOne({ _id: { $lt: end.size } }, { sort: { _id: -1 } });
  const { note } = replayed.checkpoint;
  await putAnchor(admin, range.manifest.origin, { size: end.size, note: note.toString('utf8'), segment: last!._id });
  return { ...replayed.head, log: { ...log, lastSegment: last!._id } };
};

/** Gathers documents until they make a message. */
class Batch<T> {
  readonly #write: (documents: T[]) => Promise<void>;
  #documents: T[] = [];
  #bytes = 0;

  constructor(write: (documents: T[]) => Promise<void>) {
    this.#write = write;
  }

  async add(document: T, bytes: number): Promise<void> {
    this.#documents.push(document);
    this.#bytes += bytes;
    if (this.#bytes >= batchBytesMax) await this.flush();
  }

  async flush(): Promise<void> {
    const documents = this.#documents;
    this.#documents = [];
    this.#bytes = 0;
    if (documents.length > 0) await this.#write(documents);
  }
}

/** Those of an interrupted run stand there already, and must be the same. */
const insertSegments = async (
  admin: MongoClient,
  instance: InstanceId,
  documents: readonly SegmentDocument[],
): Promise<void> => {
  const segments = segmentsOf(admin, instance);
  await insertMissing(segments, documents);
  const kept = segments.find({ _id: { $in: documents.map(({ _id }) => _id) } }, { projection: { root: 1 } });
  const roots = new Map<number, Binary>();
  for await (const { _id, root } of kept) roots.set(_id, root);
  const other = documents.find(({ _id, root }) => !sameBytes(roots.get(_id), root));
  if (other)
    throw new ArchiveError('REBUILD_REFUSED', `another segment stands at ${other._id}; a rebuild overwrites nothing`);
};

const sameBytes = (a: Binary | undefined, b: Binary): boolean =>
  a !== undefined && Buffer.from(a.buffer).equals(Buffer.from(b.buffer));

/** Of each row the newest counts: what was wrapped anew, and what was destroyed, comes after what it was before. */
const putRows = async (admin: MongoClient, rows: readonly ArchivedRowDocument[]): Promise<void> => {
  for (const collection of archivedCollections) {
    const writes = rows
      .filter((row) => row.in === collection)
      .map(({ row }): AnyBulkWriteOperation<Document> => ({
        replaceOne: { filter: { _id: row._id as never, at: { $lt: row.at } }, replacement: row, upsert: true },
      }));
    if (writes.length === 0) continue;
    try {
      await admin.db(controlDatabase).collection(collection, majority).bulkWrite(writes, { ordered: false });
    } catch (error) {
      // An upsert whose filter a newer row does not fit.
      if (!nothingButPresent(error)) throw error;
    }
  }
};

const putAnchor = async (
  admin: MongoClient,
  origin: string,
  { size, note, segment }: AnchoredCheckpoint,
): Promise<void> => {
  const _id = `${origin}#${String(size).padStart(16, '0')}`;
  const anchors = admin.db(controlDatabase).collection<{ _id: string }>('anchors', majority);
  await insertMissing(anchors, [{ _id, size, note, segment, at: writtenNow } as { _id: string }]);
};

const receivedTimeOfFirst = async (admin: MongoClient, instance: InstanceId): Promise<string | undefined> => {
  const segment = await segmentsOf(admin, instance).findOne({ _id: 0 });
  const [bytes] = segment ? segmentEntries(segment) : [];
  return bytes && parseEntry(bytes).receivedTime;
};
