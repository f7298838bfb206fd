import { array, assert, integer, property, shuffledSubarray } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyEmitter,
  missingRangesMax,
  missingUpTo,
  observe,
  rangesNotHeld,
  subtractRanges,
  type EmitterState,
  type SequenceRange,
} from '../../domain/emitters.ts';

const observeAll = (sequences: readonly number[], from: EmitterState = emptyEmitter): EmitterState =>
  sequences.reduce((state, sequence) => observe(state, sequence).state, from);

const numbersIn = (ranges: readonly SequenceRange[]): number[] =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at));

const sequences = array(integer({ min: 1, max: 60 }), { maxLength: 80 });

describe('observing an emitter', () => {
  it.each([
    { seen: [], sequence: 1, was: 'next', missing: [] },
    { seen: [1], sequence: 2, was: 'next', missing: [] },
    { seen: [], sequence: 3, was: 'opened-gap', missing: [[1, 2]] },
    { seen: [1, 2], sequence: 5, was: 'opened-gap', missing: [[3, 4]] },
    {
      seen: [1, 5],
      sequence: 3,
      was: 'filled-gap',
      missing: [
        [2, 2],
        [4, 4],
      ],
    },
    { seen: [1, 5], sequence: 2, was: 'filled-gap', missing: [[3, 4]] },
    { seen: [1, 5], sequence: 4, was: 'filled-gap', missing: [[2, 3]] },
    { seen: [1, 3], sequence: 2, was: 'filled-gap', missing: [] },
    { seen: [1, 2, 3], sequence: 2, was: 'already-seen', missing: [] },
    { seen: [1, 4], sequence: 4, was: 'already-seen', missing: [[2, 3]] },
  ])('takes $sequence after $seen as $was', ({ seen, sequence, was, missing }) => {
    const observed = observe(observeAll(seen), sequence);
    expect(observed.was).toBe(was);
    expect(observed.state.missing).toEqual(missing);
    expect(observed.state.truncated).toBeNull();
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53])('refuses %s, which is no sequence', (sequence) => {
    expect(() => observe(emptyEmitter, sequence)).toThrow(RangeError);
  });

  it('knows exactly what is missing below the highest, whatever the order and repetitions', () => {
    assert(
      property(sequences, (numbers) => {
        const state = observeAll(numbers);
        const high = Math.max(0, ...numbers);
        expect(state.high).toBe(high);
        const missing = Array.from({ length: high }, (_, at) => at + 1).filter((n) => !numbers.includes(n));
        expect(numbersIn(state.missing)).toEqual(missing);
      }),
    );
  });

  it('keeps the ranges merged: never adjacent, never overlapping', () => {
    assert(
      property(sequences, (numbers) => {
        const { missing } = observeAll(numbers);
        for (const [at, [from, to]] of missing.entries()) {
          expect(from).toBeLessThanOrEqual(to);
          expect(from).toBeGreaterThan((missing[at - 1]?.[1] ?? -1) + 1);
        }
      }),
    );
  });

  it('changes nothing when numbers come again', () => {
    assert(
      property(sequences, (numbers) => {
        const state = observeAll(numbers);
        expect(observeAll(numbers, state)).toEqual(state);
      }),
    );
  });

  it('comes to the same state in whatever order the numbers arrive', () => {
    assert(
      property(shuffledSubarray(Array.from({ length: 40 }, (_, at) => at + 1)), (numbers) => {
        expect(observeAll(numbers)).toEqual(observeAll(numbers.toSorted((a, b) => a - b)));
      }),
    );
  });
});

describe('an emitter with more gaps than are listed', () => {
  const every = (count: number) => Array.from({ length: count }, (_, at) => 2 * (at + 1));
  const full = observeAll(every(missingRangesMax));
  const over = observeAll(every(missingRangesMax + 5));

  it('says where more is missing than it lists', () => {
    expect(full.truncated).toBeNull();
    expect(over.missing).toHaveLength(missingRangesMax);
    expect(over.truncated).toEqual([2 * missingRangesMax + 1, 2 * missingRangesMax + 9]);
  });

  it('does not guess about numbers in there, and still knows all others', () => {
    expect(observe(over, 2 * missingRangesMax + 3)).toEqual({ state: over, was: 'uncertain' });
    expect(observe(over, 1).was).toBe('filled-gap');
    expect(observe(over, 2).was).toBe('already-seen');
    expect(observe(over, over.high + 1).was).toBe('next');
  });

  it('never forgets it, even when the listed gaps are all filled', () => {
    const filled = observeAll(numbersIn(over.missing), over);
    expect(filled.missing).toEqual([]);
    expect(filled.truncated).toEqual(over.truncated);
  });

  it('stays within the bound when a gap is split in two', () => {
    const wide = observeAll([...every(missingRangesMax - 1), 5000]);
    const split = observe(wide, 4000).state;
    expect(split.missing).toHaveLength(missingRangesMax);
    expect(split.truncated).toEqual([4001, 4999]);
  });

  it('covers whatever is missing by what it lists and the truncated range together', () => {
    assert(
      property(array(integer({ min: 1, max: 9000 }), { minLength: 1500, maxLength: 3000 }), (numbers) => {
        const state = observeAll(numbers);
        const seen = new Set(numbers);
        const listed = new Set(numbersIn(state.missing));
        const [from, to] = state.truncated ?? [0, -1];
        for (let n = 1; n <= state.high; n++) {
          const truncated = from <= n && n <= to;
          expect(listed.has(n) ? !seen.has(n) : seen.has(n) || truncated).toBe(true);
        }
      }),
      { numRuns: 5 },
    );
  });
});

describe('ranges', () => {
  it('are cut where only a part of the sequence is asked for', () => {
    const state: EmitterState = {
      high: 30,
      missing: [
        [2, 3],
        [8, 12],
        [20, 21],
      ],
      truncated: [25, 29],
    };
    expect(missingUpTo(state, 10)).toEqual({
      ranges: [
        [2, 3],
        [8, 10],
      ],
      truncated: null,
    });
    expect(missingUpTo(state, 26)).toEqual({ ranges: state.missing, truncated: [25, 26] });
  });

  it('name exactly what is not held', () => {
    assert(
      property(sequences, integer({ min: 0, max: 70 }), (numbers, upTo) => {
        const expected = Array.from({ length: upTo }, (_, at) => at + 1).filter((n) => !numbers.includes(n));
        expect(numbersIn(rangesNotHeld(numbers, upTo))).toEqual(expected);
      }),
    );
  });

  it('are subtracted number by number', () => {
    assert(
      property(sequences, sequences, (a, b) => {
        const [minuend, taken] = [rangesNotHeld(a, 60), rangesNotHeld(b, 60)];
        const expected = numbersIn(minuend).filter((n) => !numbersIn(taken).includes(n));
        expect(numbersIn(subtractRanges(minuend, taken))).toEqual(expected);
      }),
    );
  });
});
