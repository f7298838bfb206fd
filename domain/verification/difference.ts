/**
 * What self-verification can find: where two of the log's copies, or a copy and what was signed, do not agree. One
 * vocabulary with the verification of a served log (domain/verify/report.ts); docs/self-verification.md describes each.
 */
import type { ProblemKind } from '../verify/report.ts';

/** Kinds that only whoever sees the stored record, its projections and its copies can tell. */
const storedKinds = [
  // the record
  'malformed-segment',
  'stray-segment',
  'root-altered',
  'edge-altered',
  'control-epoch-altered',
  'box-list-altered',
  // payload
  'box-missing',
  'box-altered',
  'content-altered',
  // the index
  'row-missing',
  'row-altered',
  'row-forged',
  // the state of emitters
  'emitter-missing',
  'emitter-altered',
  'emitter-forged',
  // tiles
  'tile-surplus',
  // the archive
  'archive-missing',
  'archive-altered',
  'archive-surplus',
  // witnesses
  'witness-ahead',
  'witness-inconsistent',
] as const;

export type DifferenceKind = ProblemKind | (typeof storedKinds)[number];

/** Where what differs is kept. */
export const stores = ['record', 'boxes', 'index', 'emitters', 'tiles', 'anchors', 'archive', 'witness'] as const;
export type Store = (typeof stores)[number];

/** Stores that are derived from the record, and can be made again from it. */
export const projections = ['index', 'emitters', 'tiles'] as const satisfies readonly Store[];
export type Projection = (typeof projections)[number];

export interface Difference {
  readonly kind: DifferenceKind;
  readonly store: Store;
  /** First log index that is wrong. Absent where what differs has none: an emitter, a stray object. */
  readonly index?: number;
  /** Present where several are wrong in a row, or where the evidence names a range only. */
  readonly lastIndex?: number;
  /** The document or object: `segments/512`, `events/700`, `tiles/0/2`. Never content. */
  readonly place: string;
  /** Of `wrong-order` and `duplicate-id`: where the entry belongs. */
  readonly belongsAt?: number;
}

export const isProjection = (store: Store): store is Projection => (projections as readonly Store[]).includes(store);

const meanings: Readonly<Record<DifferenceKind, string>> = {
  'bad-signature': 'a checkpoint that no key of the log signed',
  'malformed-checkpoint': 'a checkpoint that can not be read',
  'wrong-origin': 'a checkpoint of another log',
  'inconsistent-with-older': 'the log does not continue a checkpoint that was given out',
  'entry-altered': 'the entry is not the one that was signed',
  'wrong-order': 'an entry stands here that belongs elsewhere',
  'missing-entries': 'entries that were signed are not there',
  'surplus-entries': 'entries that were never signed',
  'malformed-bundle': 'the entries can not be taken apart',
  'tile-altered': 'a tile is not the one that the entries give',
  'tile-missing': 'a full tile is not there',
  'tile-malformed': 'a tile has the wrong length',
  'leaf-hash-altered': 'the leaf hash kept beside an entry is not its own',
  'unparseable-entry': 'the entry is none of ours',
  'foreign-entry': 'the entry is of another instance',
  'duplicate-id': 'an event id stands in the log twice',
  'root-mismatch': 'the entries do not give the signed root, and nothing says which of them are at fault',
  'malformed-segment': 'a segment is not of the form that is written',
  'stray-segment': 'a segment that is not part of the log',
  'root-altered': 'the root kept in a segment is not that of its entries',
  'edge-altered': 'the right edge kept in a segment is not that of its entries',
  'control-epoch-altered': 'the control epoch kept in a segment is not that of the entries',
  'box-list-altered': 'the list of boxes kept in a segment is not the archived one',
  'box-missing': 'a box of encrypted parts is not there',
  'box-altered': 'a box of encrypted parts is not what its digest says',
  'content-altered': 'a part is not what its entry commits to',
  'row-missing': 'the index does not hold an entry',
  'row-altered': 'the index says something else than the entry',
  'row-forged': 'the index holds what is not in the log',
  'emitter-missing': 'the state of an emitter is not there',
  'emitter-altered': 'the state of an emitter is not what its entries give',
  'emitter-forged': 'the state of an emitter that has no entry',
  'tile-surplus': 'a tile that is not part of the tree',
  'archive-missing': 'the archive lacks an object',
  'archive-altered': 'an object of the archive is not what the record says',
  'archive-surplus': 'an object that is not part of the archive',
  'witness-ahead': 'a witness cosigned a larger log than this one',
  'witness-inconsistent': 'a witness cosigned another history',
};

export const differenceKinds = Object.keys(meanings) as readonly DifferenceKind[];

/** In one line: where it is and what it is. */
export const describeDifference = ({ kind, index, lastIndex, place, belongsAt }: Difference): string => {
  const range = lastIndex === undefined || lastIndex === index ? `index ${index}` : `index ${index} to ${lastIndex}`;
  const at = index === undefined ? place : `${range} (${place})`;
  return `${kind} at ${at}: ${meanings[kind]}${belongsAt === undefined ? '' : ` (it belongs at ${belongsAt})`}`;
};
