/** What stands in the record's and the index's collections outside of the log: nothing may. */
import type { Difference } from '../../domain/verification/difference.ts';
import { lookedAtNothing } from '../../domain/verification/looked.ts';
import { indexOf } from '../projection.ts';
import { segmentsOf } from '../segments.ts';
import { judgedSegments } from './judged-segments.ts';
import { signedStanding } from './sample-check.ts';
import type { VerifiedLog } from './verified-log.ts';
import type { Walked } from './record-walk.ts';

/** Of each kind, named one by one. */
const namedMax = 20;

type Found = Pick<Walked, 'looked' | 'differences'>;

/** `size`: where the log ends, as it was signed; what follows without a gap is about to be. */
export const findOutside = async (log: VerifiedLog, size: number): Promise<Found> => {
  const end = await endOfRecord(log, size);
  const unsigned = await surplusEntries(log, size, end);
  const segments = await strays(log, end);
  const rows = await forgedRows(log, end);
  return { looked: lookedAtNothing, differences: [...unsigned, ...segments, ...rows] };
};

/** Of the segments that no checkpoint covers yet, the first that does not follow from what is before it. */
const surplusEntries = async (log: VerifiedLog, size: number, end: number): Promise<Difference[]> => {
  const { standing } = await signedStanding(log, size);
  if (standing.size !== size || !standing.edge) return [];
  for await (const found of judgedSegments(log, { standing, to: end })) {
    const sound = found.kind === 'segment' && found.judgement.differences.length === 0;
    if (sound && found.standing.suspect === undefined) continue;
    const index = found.kind === 'segment' ? found.segment._id : size;
    return [{ kind: 'surplus-entries', store: 'record', index, lastIndex: end - 1, place: `segments/${index}` }];
  }
  return [];
};

/** Where the record ends: the segments from `size` on that follow each other. */
const endOfRecord = async ({ client, instance }: VerifiedLog, size: number): Promise<number> => {
  const segments = segmentsOf(client, instance);
  let end = size;
  for (;;) {
    const next = await segments.findOne({ _id: end }, { projection: { n: 1 } });
    if (!next || !Number.isSafeInteger(next.n) || next.n < 1) return end;
    end += next.n;
  }
};

/** Segments that no walk reaches, and documents that are neither segment nor boxes. */
const strays = async (log: VerifiedLog, end: number): Promise<Difference[]> => {
  const record = segmentsOf(log.client, log.instance);
  const beyond = await record
    .find({ _id: { $gt: end } }, { projection: { _id: 1 } })
    .sort({ _id: 1 })
    .limit(namedMax)
    .toArray();
  // A writer may have gone on meanwhile: what is reached now was no stray.
  const reached = beyond.length > 0 ? await endOfRecord(log, end) : end;
  const others = await record
    .find({ $and: [{ _id: { $not: { $gte: 0 } } }, { _id: { $not: { $type: 'binData' } } }] } as never, {
      projection: { _id: 1 },
    })
    .limit(namedMax)
    .toArray();
  return [...beyond.filter(({ _id }) => _id > reached), ...others].map(({ _id }) => ({
    kind: 'stray-segment',
    store: 'record',
    ...(Number.isSafeInteger(_id) && _id >= 0 && { index: _id }),
    place: `segments/${String(_id)}`,
  }));
};

const forgedRows = async (log: VerifiedLog, end: number): Promise<Difference[]> =>
  (await rowsOutside(log, end)).map((_id) => ({
    kind: 'row-forged',
    store: 'index',
    ...(typeof _id === 'number' && Number.isSafeInteger(_id) && _id >= 0 && { index: _id }),
    place: `events/${String(_id)}`,
  }));

/** Ids of rows of entries that there are not: some of them, where there are many. `size`: as for `findOutside`. */
export const rowsOutside = async (log: VerifiedLog, size: number): Promise<unknown[]> => {
  const index = indexOf(log.client, log.instance);
  const end = await endOfRecord(log, size);
  const only = { projection: { _id: 1 } } as const;
  const [beyond, others] = await Promise.all([
    index
      .find({ _id: { $gte: end } }, only)
      .sort({ _id: 1 })
      .limit(namedMax)
      .toArray(),
    index
      .find({ _id: { $not: { $gte: 0 } } } as never, only)
      .limit(namedMax)
      .toArray(),
  ]);
  // Entries that were appended meanwhile have their rows by right.
  const reached = beyond.length > 0 ? await endOfRecord(log, end) : end;
  return [...beyond.filter(({ _id }) => _id >= reached), ...others].map(({ _id }) => _id);
};
