/** Compares the rows of the index with what the entries of the log give. */
import type { Difference } from './difference.ts';

/** A row as a plain object; binary values as bytes. */
export type Row = Readonly<Record<string, unknown>>;

export interface RowRange {
  /** First index, and the one after the last. */
  readonly from: number;
  readonly to: number;
}

/**
 * `expected`: by index, what each row of the range must be; indexes that are not in it are not judged. `stored`: every row
 * of the range that there is.
 */
export const compareRows = (
  { from, to }: RowRange,
  expected: ReadonlyMap<number, Row>,
  stored: readonly Row[],
): Difference[] => {
  const differences: Difference[] = [];
  const seen = new Set<number>();
  for (const row of stored) {
    const index = row['_id'];
    if (typeof index !== 'number' || !Number.isSafeInteger(index)) {
      differences.push({ kind: 'row-forged', store: 'index', place: `events/${String(index)}` });
      continue;
    }
    if (index < from || index >= to) continue;
    seen.add(index);
    const wanted = expected.get(index);
    if (wanted && !sameRow(wanted, row))
      differences.push({ kind: 'row-altered', store: 'index', index, place: `events/${index}` });
  }
  const missing = [...expected.keys()].filter((index) => !seen.has(index)).toSorted((a, b) => a - b);
  for (const [first, last] of runsOf(missing))
    differences.push({
      kind: 'row-missing',
      store: 'index',
      index: first,
      ...(last > first && { lastIndex: last }),
      place: `events/${first}`,
    });
  return differences;
};

/** Ascending numbers as ranges, both ends included. */
export const runsOf = (numbers: readonly number[]): [number, number][] => {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs;
};

/** Whether both have the same fields with the same values, in whatever order. */
export const sameRow = (a: Row, b: Row): boolean => {
  const fields = Object.keys(a);
  return fields.length === Object.keys(b).length && fields.every((field) => sameValue(a[field], b[field]));
};

const sameValue = (a: unknown, b: unknown): boolean => {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime();
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, position) => sameValue(item, b[position]));
  if (typeof a === 'object' && a !== null) return typeof b === 'object' && b !== null && sameRow(a as Row, b as Row);
  return a === b;
};
