/**
 * Archives one range of a log, up to a checkpoint that was anchored. The order is the guarantee: payload, rows, entries
 * and tiles, the list of segments, the manifest, and the checkpoint last. Each object is durable and was read back before
 * the next kind begins. A crash before the checkpoint leaves objects that count for nothing; the same range written
 * again finds them there. After a crash behind the manifest, that one is completed.
 */
import type { MongoClient } from 'mongodb';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { encodeVkey, type NoteKey } from '../../domain/tree/note.ts';
import { encodeBundle, tilePath, tileWidth } from '../../domain/tree/tiles.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { AnchoredCheckpoint } from '../anchor.ts';
import { boxFaults } from '../boxes.ts';
import { inconsistent, segmentEntries, verifySegment, type LogHead } from '../segments.ts';
import { encodeDocument } from './documents.ts';
import { ArchiveError } from './errors.ts';
import { readManifest, readObject, type ArchivedHead } from './head.ts';
import { Gathered, Ledger } from './ledger.ts';
import { encodeManifest, sha256Of, type ClusterTime, type Manifest } from './manifest.ts';
import { checkpointName, latestCheckpointName, manifestName, payloadName, rowsName, segmentListName } from './names.ts';
import { boxDocuments, rowsBetween, segmentsBetween } from './record.ts';
import { forgetOlder, overlapOf, remember, rememberRows, rowKey, type SeenRows } from './seen-rows.ts';
import type { ArchiveStore } from './store.ts';

export interface RangeToArchive {
  readonly instance: InstanceId;
  /** Archiver duty. */
  readonly client: MongoClient;
  readonly origin: string;
  /** The log's: one of them signed the checkpoint. */
  readonly keys: readonly NoteKey[];
  readonly checkpoint: AnchoredCheckpoint;
  /** Rows written up to this time are copied; the head's manifest says from when on. */
  readonly rowsThrough: ClusterTime;
  /** Rows that were copied; this range's are added, and those that are not looked at again are dropped. */
  readonly seen: SeenRows;
}

/** The steps, in their order: what tests make fail. */
export const archiveSteps = ['payload', 'rows', 'entries', 'segments', 'manifest', 'checkpoint', 'latest'] as const;
export type ArchiveStep = (typeof archiveSteps)[number];

/** The head after the range. Throws ArchiveError, and TrailError where the record is not what was signed. */
export const archiveRange = async (
  store: ArchiveStore,
  head: ArchivedHead,
  range: RangeToArchive,
): Promise<ArchivedHead> => {
  const { checkpoint, origin, keys } = range;
  const own = keys.filter(({ name }) => name === origin);
  const signed = openCheckpoint(Buffer.from(checkpoint.note), own, origin);
  const key = own.find(({ keyId }) => keyId === signed.verified[0]!.keyId)!;
  const ledger = new Ledger(store);
  const standing = await standingRange(store, head, range);
  if (!standing) {
    await writePayload(ledger, head, range);
    await ledger.settle();
    await writeRows(ledger, head, range);
    await ledger.settle();
  }
  const grown = await writeEntries(ledger, head, range);
  if (!grown.log.root.equals(signed.root))
    throw inconsistent(
      head.log.size,
      `the entries from here on do not give the root that was signed at ${signed.size}`,
    );
  await ledger.settle();
  const last = standing ?? (await writeManifest());
  await store.put(checkpointName(signed.size), Buffer.from(checkpoint.note));
  await store.renew(latestCheckpointName, Buffer.from(checkpoint.note));
  forgetOlder(range.seen, last.manifest.rowsThrough);
  return { ...grown, last };

  async function writeManifest(): Promise<WrittenRange> {
    await writeSegmentList(ledger, head, range);
    await ledger.settle();
    const manifest: Manifest = {
      v: 1,
      instance: range.instance,
      origin,
      vkey: encodeVkey(key),
      first: head.log.size,
      size: signed.size,
      control: grown.log.controlEpoch,
      ...(head.last && { previous: { size: head.log.size, sha256: head.last.sha256 } }),
      rowsThrough: range.rowsThrough,
      objects: ledger.written(),
    };
    const bytes = encodeManifest(manifest);
    await store.put(manifestName(signed.size), bytes);
    return { manifest, sha256: sha256Of(bytes) };
  }
};

type WrittenRange = NonNullable<ArchivedHead['last']>;

/**
 * The manifest of this very range, where a former owner came as far as that: then it is what the range consists of. Rows
 * that changed since are not what they were, and would give another one; they are copied with a later range, under their
 * new times. Throws ARCHIVE_ALTERED where an object that it names is not what was written.
 */
const standingRange = async (
  store: ArchiveStore,
  { log: { size: first }, last }: ArchivedHead,
  { instance, origin, keys, checkpoint: { size }, seen }: RangeToArchive,
): Promise<WrittenRange | undefined> => {
  const standing = await readManifest(store, size);
  const manifest = standing?.manifest;
  const same =
    manifest?.instance === instance &&
    manifest.origin === origin &&
    keys.some((key) => key.name === origin && encodeVkey(key) === manifest.vkey) &&
    manifest.first === first &&
    manifest.previous?.size === (last && first) &&
    manifest.previous?.sha256 === last?.sha256;
  // What is of another range stays where it is: writing this one fails there.
  if (!standing || !manifest || !same) return undefined;
  for (const object of manifest.objects) await readObject(store, object);
  await rememberRows(store, seen, manifest, manifest.rowsThrough);
  return standing;
};

const writePayload = async (
  ledger: Ledger,
  { log: { size: first } }: ArchivedHead,
  { instance, client, checkpoint: { size } }: RangeToArchive,
): Promise<void> => {
  const gathered = new Map<string, Gathered>();
  const withoutEntries = { entries: 0, leaves: 0, edge: 0 } as const;
  for await (const segment of segmentsBetween(client, instance, first, size, withoutEntries)) {
    for await (const document of boxDocuments(client, instance, segment)) {
      const fault = boxFaults(document).find(({ removed }) => !removed);
      if (fault) throw inconsistent(segment._id, 'a box of its payload is not what was written');
      let target = gathered.get(document.of);
      if (!target) {
        target = new Gathered((number, bytes) => ledger.put(payloadName(document.of, size, number), bytes));
        gathered.set(document.of, target);
      }
      await target.add(encodeDocument(document));
    }
  }
  for (const target of gathered.values()) await target.flush();
};

const writeRows = async (
  ledger: Ledger,
  { last }: ArchivedHead,
  { instance, client, checkpoint: { size }, rowsThrough, seen }: RangeToArchive,
): Promise<void> => {
  const gathered = new Gathered((number, bytes) => ledger.put(rowsName(size, number, sha256Of(bytes)), bytes));
  const after = last ? overlapOf(last.manifest.rowsThrough) : { t: 0, i: 0 };
  for await (const row of rowsBetween(client, instance, after, rowsThrough)) {
    if (seen.has(rowKey(row))) continue;
    remember(seen, row, rowsThrough);
    await gathered.add(encodeDocument({ in: row.collection, row: row.row }));
  }
  await gathered.flush();
};

const writeEntries = async (
  ledger: Ledger,
  head: ArchivedHead,
  { instance, client, checkpoint: { size } }: RangeToArchive,
): Promise<Omit<ArchivedHead, 'last'>> => {
  const rows = head.rows.copy();
  let log: LogHead = head.log;
  let bundle = [...head.bundle];
  for await (const segment of segmentsBetween(client, instance, head.log.size, size)) {
    log = verifySegment(log, segment).next;
    const leaves = segment.leaves.buffer;
    for (const [position, entry] of segmentEntries(segment).entries()) {
      bundle.push(Buffer.from(entry));
      for (const { tile, hashes } of rows.append(leaves.subarray(32 * position, 32 * position + 32)))
        await ledger.put(tilePath(tile), hashes);
      if (bundle.length < tileWidth) continue;
      const index = rows.size / tileWidth - 1;
      await ledger.put(tilePath({ kind: 'entries', index, width: tileWidth }), encodeBundle(bundle));
      bundle = [];
    }
  }
  if (log.size !== size || rows.size !== size)
    throw new ArchiveError('ARCHIVE_DIVERGED', `the record ends at ${log.size}, the checkpoint is of ${size}`);
  for (const { tile, hashes } of rows.unfinished()) await ledger.put(tilePath(tile), hashes);
  if (bundle.length > 0) {
    const index = Math.floor(size / tileWidth);
    await ledger.put(tilePath({ kind: 'entries', index, width: bundle.length }), encodeBundle(bundle));
  }
  return { log, rows, bundle };
};

/** A segment without what its entries give: where it begins and ends, its control epoch, its boxes. */
const writeSegmentList = async (
  ledger: Ledger,
  { log: { size: first } }: ArchivedHead,
  { instance, client, checkpoint: { size } }: RangeToArchive,
): Promise<void> => {
  const gathered = new Gathered((number, bytes) => ledger.put(segmentListName(size, number), bytes));
  const listed = { entries: 0, leaves: 0, root: 0, edge: 0 } as const;
  for await (const segment of segmentsBetween(client, instance, first, size, listed))
    await gathered.add(encodeDocument(segment));
  await gathered.flush();
};
