/**
 * What the archive takes from MongoDB, under the archiver's duty: the record, and the rows without which the record can't
 * be used: wrapped keys, the map of subjects, sealed credentials. All content is ciphertext. Seeds of signing keys stay out:
 * whoever gets at an archive and the keys can read, and never sign; a log that is rebuilt gets a new signing key.
 */
import { Binary, Timestamp, type Document, type Filter, type MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { boxesOf, type BoxDocument } from '../boxes.ts';
import { controlDatabase, majority } from '../database.ts';
import { inconsistent, segmentsOf, type SegmentDocument } from '../segments.ts';
import type { ClusterTime } from './manifest.ts';

/** Collections of the control database whose rows go along; they carry `at` (trail/database.ts, `writtenNow`). */
export const archivedCollections = ['keyrings', 'keys', 'verifierKeys', 'subjects', 'connectors'] as const;
export type ArchivedCollection = (typeof archivedCollections)[number];

export interface ArchivedRow {
  readonly collection: ArchivedCollection;
  readonly row: { readonly _id: string; readonly instance: string; readonly at: Timestamp } & Document;
}

const boxesPerCall = 16;

/** Rows of the control database that an archive must never hold. */
const leftOut: Partial<Record<ArchivedCollection, Filter<Document>>> = {
  // What was applied from the log is applied again: only staged credentials are nowhere else.
  connectors: { sealed: { $type: 'binData' } },
};

/** Segments `first` to `size - 1` in order, strays left out. Throws LOG_INCONSISTENT where they are not all there. */
export async function* segmentsBetween(
  client: MongoClient,
  instance: InstanceId,
  first: number,
  size: number,
  projection: Record<string, 0> = {},
): AsyncGenerator<SegmentDocument> {
  let next = first;
  const cursor = segmentsOf(client, instance)
    .find({ _id: { $gte: first, $lt: size } }, { projection })
    .sort({ _id: 1 })
    .batchSize(4);
  for await (const segment of cursor) {
    if (segment._id !== next) continue;
    next = segment._id + segment.n;
    yield segment;
  }
  if (next !== size) throw inconsistent(next, `the record does not hold the entries from here to ${size - 1}`);
}

/** The documents of boxes that a segment lists, in that order. Throws LOG_INCONSISTENT where one is missing. */
export async function* boxDocuments(
  client: MongoClient,
  instance: InstanceId,
  { _id, boxes }: Pick<SegmentDocument, '_id' | 'boxes'>,
): AsyncGenerator<BoxDocument> {
  for (let start = 0; start < boxes.length; start += boxesPerCall) {
    const ids = boxes.slice(start, start + boxesPerCall).map(({ id }) => new Binary(id.buffer));
    const found = await boxesOf(client, instance)
      .find({ _id: { $in: ids } })
      .toArray();
    const byId = new Map(found.map((document) => [hex(document._id), document]));
    for (const id of ids) {
      const document = byId.get(hex(id));
      if (!document) throw inconsistent(_id, 'a document of boxes that it lists is missing');
      yield document;
    }
  }
}

export const hex = (binary: Binary): string => Buffer.from(binary.buffer).toString('hex');

const rowsOf = (client: MongoClient, collection: ArchivedCollection) =>
  client.db(controlDatabase).collection<ArchivedRow['row']>(collection, majority);

/** The newest time of writing among the rows; `after` where there is none newer. */
export const newestRowTime = async (
  client: MongoClient,
  instance: InstanceId,
  after: ClusterTime,
): Promise<ClusterTime> => {
  let newest = after;
  for (const collection of archivedCollections) {
    const row = await rowsOf(client, collection).findOne({ instance }, { sort: { at: -1 }, projection: { at: 1 } });
    if (row?.at instanceof Timestamp && isAfter(row.at, newest)) newest = { t: row.at.t, i: row.at.i };
  }
  return newest;
};

export const isAfter = (a: ClusterTime, b: ClusterTime): boolean => a.t > b.t || (a.t === b.t && a.i > b.i);

/** Rows written after `after`, up to `through`. */
export async function* rowsBetween(
  client: MongoClient,
  instance: InstanceId,
  after: ClusterTime,
  through: ClusterTime,
): AsyncGenerator<ArchivedRow> {
  for (const collection of archivedCollections) {
    const filter: Filter<Document> = {
      instance,
      at: { $gt: new Timestamp(after), $lte: new Timestamp(through) },
      ...leftOut[collection],
    };
    const cursor = rowsOf(client, collection)
      .find(filter as never)
      .sort({ at: 1, _id: 1 });
    for await (const row of cursor) yield { collection, row };
  }
}
