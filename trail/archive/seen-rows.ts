/**
 * Which rows the newest ranges hold already. A row gets its time a moment before it can be seen, so that one may turn up
 * behind rows that were copied: the last minute is looked through again, and what was copied is left out.
 */
import type { Timestamp } from 'mongodb';
import { decodeDocuments } from './documents.ts';
import { readManifest, readObject, type ArchivedHead } from './head.ts';
import type { ClusterTime, Manifest } from './manifest.ts';
import type { ArchivedRow } from './record.ts';
import type { ArchiveStore } from './store.ts';

const overlapSeconds = 60;

/** From where rows are looked at, where those up to `through` were copied. */
export const overlapOf = ({ t }: ClusterTime): ClusterTime => ({ t: Math.max(0, t - overlapSeconds), i: 0 });

export const rowKey = ({ collection, row }: ArchivedRow): string => `${collection}/${row._id}/${row.at.t}/${row.at.i}`;

/** Keys of rows that were copied, with the seconds of their times. */
export type SeenRows = Map<string, number>;

/** Adds a row, unless it is too old to be looked at again once everything up to `through` is copied. */
export const remember = (seen: SeenRows, row: ArchivedRow, through: ClusterTime): void => {
  if (row.row.at.t >= overlapOf(through).t) seen.set(rowKey(row), row.row.at.t);
};

/** Drops what is not looked at again once everything up to `through` is copied: what remains is of one overlap. */
export const forgetOlder = (seen: SeenRows, through: ClusterTime): void => {
  const from = overlapOf(through).t;
  for (const [key, seconds] of seen) if (seconds < from) seen.delete(key);
};

export interface ArchivedRowDocument {
  readonly in: ArchivedRow['collection'];
  readonly row: ArchivedRow['row'] & { readonly at: Timestamp };
}

/** Keys of the rows that ranges of the last minute hold. */
export const seenRows = async (store: ArchiveStore, { last }: ArchivedHead): Promise<SeenRows> => {
  const seen: SeenRows = new Map();
  if (!last) return seen;
  const from = overlapOf(last.manifest.rowsThrough);
  let { manifest } = last;
  for (;;) {
    await rememberRows(store, seen, manifest, last.manifest.rowsThrough);
    const before = manifest.previous && (await readManifest(store, manifest.previous.size));
    if (!before || before.manifest.rowsThrough.t < from.t) return seen;
    ({ manifest } = before);
  }
};

/** Adds the rows that a range holds. Throws ARCHIVE_ALTERED where they can't be read. */
export const rememberRows = async (
  store: ArchiveStore,
  seen: SeenRows,
  { objects }: Manifest,
  through: ClusterTime,
): Promise<void> => {
  for (const object of objects.filter(({ name }) => name.startsWith('rows/')))
    for (const document of decodeDocuments<ArchivedRowDocument>(object.name, await readObject(store, object)))
      remember(seen, { collection: document.in, row: document.row }, through);
};
