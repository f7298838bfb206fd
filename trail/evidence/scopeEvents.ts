/** The events that an evidence pack is about, in log order, a page at a time. */
import type { EvidenceScope } from '../../domain/evidence/scope.ts';
import { TrailError } from '../errors.ts';
import type { IndexedEvent, TrailReader } from '../reader.ts';

const pageSize = 200;

/** Up to, but without, the index `size`. Throws LOG_INCONSISTENT where the record lacks an entry of a range. */
export async function* scopeEvents(
  reader: TrailReader,
  scope: EvidenceScope,
  size: number,
): AsyncGenerator<IndexedEvent> {
  if (scope.kind === 'range') yield* rangeEvents(reader, scope.from, Math.min(scope.to, size - 1));
  else yield* chainEvents(reader, scope.correlationId, size);
}

/** How many there are to come; for progress, so of the index. */
export const countEvents = async (reader: TrailReader, scope: EvidenceScope, size: number): Promise<number> =>
  scope.kind === 'range'
    ? Math.min(scope.to, size - 1) - scope.from + 1
    : reader.count({ corr: scope.correlationId, _id: { $lt: size } });

async function* chainEvents(reader: TrailReader, corr: string, size: number): AsyncGenerator<IndexedEvent> {
  for (let after = -1; ;) {
    const page = await reader.find({ corr, _id: { $lt: size } }, { after, limit: pageSize });
    yield* page;
    if (page.length < pageSize) return;
    after = page.at(-1)!.index;
  }
}

/** Whatever the index lacks is read from the record: a range is whole, or there is none. */
async function* rangeEvents(reader: TrailReader, from: number, to: number): AsyncGenerator<IndexedEvent> {
  for (let next = from; next <= to;) {
    const end = Math.min(to + 1, next + pageSize);
    const rows = await reader.find({ _id: { $gte: next, $lt: end } }, { limit: pageSize });
    const byIndex = new Map(rows.map((row) => [row.index, row]));
    for (; next < end; next += 1) yield byIndex.get(next) ?? (await fromRecord(reader, next));
  }
}

export const fromRecord = async (reader: TrailReader, index: number): Promise<IndexedEvent> => {
  const event = await reader.at(index);
  if (!event) throw new TrailError('LOG_INCONSISTENT', `the record does not hold the entry ${index}`);
  return event;
};
