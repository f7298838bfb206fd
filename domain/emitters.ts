/**
 * Gap detection. Every emitter numbers what it emits from 1 without gaps, so a number that never arrived names an
 * entry that is missing. The state is a pure fold over the numbers in the order in which they arrived.
 */

/** Both ends belong to it. */
export type SequenceRange = readonly [from: number, to: number];

export interface EmitterState {
  /** Highest sequence seen; 0 before the first. */
  readonly high: number;
  /** What is missing below `high`: ascending, disjoint, never adjacent, at most `missingRangesMax`. */
  readonly missing: readonly SequenceRange[];
  /** Where more is missing than `missing` lists, because the list was full. Never forgotten once it is set. */
  readonly truncated: SequenceRange | null;
}

/**
 * `uncertain`: a number inside the truncated range, where it can't be told any more whether it fills a gap or was
 * seen before. It changes nothing.
 */
export type Observation = 'next' | 'opened-gap' | 'filled-gap' | 'already-seen' | 'uncertain';

export const missingRangesMax = 1000;

export const emptyEmitter: EmitterState = { high: 0, missing: [], truncated: null };

/**
 * Takes one sequence number in. Observing the same number again changes nothing, and as long as nothing is truncated
 * the state depends only on which numbers were seen, not on their order. Throws RangeError for what is no sequence.
 */
export const observe = (state: EmitterState, sequence: number): { state: EmitterState; was: Observation } => {
  if (!Number.isSafeInteger(sequence) || sequence < 1) {
    throw new RangeError(`an emitter's sequence is an integer from 1, not ${sequence}`);
  }
  if (sequence === state.high + 1) return { state: { ...state, high: sequence }, was: 'next' };
  if (sequence > state.high) {
    const missing = [...state.missing, [state.high + 1, sequence - 1] as const];
    return { state: bounded({ ...state, high: sequence, missing }), was: 'opened-gap' };
  }
  const at = positionOf(state.missing, sequence);
  if (at === -1) return { state, was: within(state.truncated, sequence) ? 'uncertain' : 'already-seen' };
  const [from, to] = state.missing[at]!;
  const rest: SequenceRange[] = [];
  if (from < sequence) rest.push([from, sequence - 1]);
  if (sequence < to) rest.push([sequence + 1, to]);
  const missing = [...state.missing.slice(0, at), ...rest, ...state.missing.slice(at + 1)];
  return { state: bounded({ ...state, missing }), was: 'filled-gap' };
};

/** What is missing among 1..`upTo`; `truncated` says where more may be missing than is listed. */
export const missingUpTo = (
  state: EmitterState,
  upTo: number,
): { ranges: readonly SequenceRange[]; truncated: SequenceRange | null } => ({
  ranges: state.missing.filter(([from]) => from <= upTo).map(([from, to]) => [from, Math.min(to, upTo)] as const),
  truncated:
    state.truncated !== null && state.truncated[0] <= upTo
      ? [state.truncated[0], Math.min(state.truncated[1], upTo)]
      : null,
});

/** The numbers of 1..`upTo` that are not among `held`, as ranges. */
export const rangesNotHeld = (held: Iterable<number>, upTo: number): SequenceRange[] => {
  const ranges: SequenceRange[] = [];
  let next = 1;
  for (const sequence of [...held].toSorted((a, b) => a - b)) {
    if (sequence > upTo) break;
    if (sequence > next) ranges.push([next, sequence - 1]);
    if (sequence >= next) next = sequence + 1;
  }
  if (next <= upTo) ranges.push([next, upTo]);
  return ranges;
};

/** What is in `ranges` and in none of `taken`; both ascending and disjoint. */
export const subtractRanges = (ranges: readonly SequenceRange[], taken: readonly SequenceRange[]): SequenceRange[] => {
  const rest: SequenceRange[] = [];
  let at = 0;
  for (const [from, to] of ranges) {
    let next = from;
    while (at < taken.length && taken[at]![1] < from) at++;
    for (let other = at; other < taken.length && taken[other]![0] <= to; other++) {
      if (taken[other]![0] > next) rest.push([next, taken[other]![0] - 1]);
      next = Math.max(next, taken[other]![1] + 1);
    }
    if (next <= to) rest.push([next, to]);
  }
  return rest;
};

const within = (range: SequenceRange | null, sequence: number): boolean =>
  range !== null && range[0] <= sequence && sequence <= range[1];

/** Binary search: the list may be long and numbers arrive one by one. -1: in none. */
const positionOf = (ranges: readonly SequenceRange[], sequence: number): number => {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from, to] = ranges[middle]!;
    if (sequence < from) high = middle - 1;
    else if (sequence > to) low = middle + 1;
    else return middle;
  }
  return -1;
};

/** The lowest ranges stay listed: the oldest gaps are the ones that are asked for. */
const bounded = (state: EmitterState): EmitterState => {
  if (state.missing.length <= missingRangesMax) return state;
  const dropped = state.missing.slice(missingRangesMax);
  const from = Math.min(dropped[0]![0], state.truncated?.[0] ?? Infinity);
  const to = Math.max(dropped.at(-1)![1], state.truncated?.[1] ?? 0);
  return { high: state.high, missing: state.missing.slice(0, missingRangesMax), truncated: [from, to] };
};
