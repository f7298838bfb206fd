/**
 * Which rows the newest ranges hold already. A row gets its time a moment before it can be seen, so that one may turn up
 * behind rows that were copied: the last minute is looked through again, and what was copied is left out.
 */
import type { Timestamp } from 'mongodb';
import { decodeDocuments } from './documents.ts';
import { readManifest, readObject, type ArchivedHead } from './head.ts';
import type { ClusterTime } from './manifest.ts';
import type { ArchivedRow } from './record.ts';
import type { ArchiveStore } from './store.ts';

const overlapSeconds = 60;

/** From where rows are looked at, where those up to `through` were copied. */
export const overlapOf = ({ t }: ClusterTime): ClusterTime => ({ t: Math.max(0, t - overlapSeconds), i: 0 });

export const rowKey = ({ collection, row }: ArchivedRow): string => `${collection}/${row._id}/${row.at.t}/${row.at.i}`;

export interface ArchivedRowDocument {
  readonly in: ArchivedRow['collection'];
  readonly row: ArchivedRow['row'] & { readonly at: Timestamp };
}

/** Keys of the rows that ranges of the last minute hold. */
export const seenRows = async (store: ArchiveStore, { last }: ArchivedHead): Promise<Set<string>> => {
  const seen = new Set<string>();
  if (!last) return seen;
  const from = overlapOf(last.manifest.rowsThrough);
  let { manifest } = last;
  for (;;) {
    for (const object of manifest.objects.filter(({ name }) => name.startsWith('rows/')))
      for (const document of decodeDocuments<ArchivedRowDocument>(object.name, await readObject(store, object)))
        seen.add(rowKey({ collection: document.in, row: document.row }));
    const before = manifest.previous && (await readManifest(store, manifest.previous.size));
    if (!before || before.manifest.rowsThrough.t < from.t) return seen;
    ({ manifest } = before);
  }
};
