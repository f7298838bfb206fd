/** What the state of an emitter must be, from the numbers of its entries: what the index tail folds one by one. */
import { missingRangesMax, type EmitterState, type SequenceRange } from '../emitters.ts';

/** Takes the numbers of one emitter in, ascending. */
export class SequenceScan {
  #high = 0;
  #lastIndex = -1;
  #gaps = 0;
  /** The lowest, one more than a state lists. */
  readonly #missing: SequenceRange[] = [];

  add(sequence: number, index: number): void {
    if (index > this.#lastIndex) this.#lastIndex = index;
    if (sequence <= this.#high) return;
    if (sequence > this.#high + 1) {
      this.#gaps += 1;
      if (this.#missing.length <= missingRangesMax) this.#missing.push([this.#high + 1, sequence - 1]);
    }
    this.#high = sequence;
  }

  get high(): number {
    return this.#high;
  }

  /** Highest log index of its entries. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** The state that these numbers give; undefined where there are more gaps than a state lists. */
  state(): EmitterState | undefined {
    if (this.#gaps > missingRangesMax) return undefined;
    return { high: this.#high, missing: this.#missing, truncated: null };
  }
}

/**
 * Whether a stored state is the one that its numbers give. Where gaps were truncated, how they are told depends on the
 * order in which the numbers came: there only the highest number is compared.
 */
export const fitsScan = (stored: EmitterState, scan: SequenceScan): boolean => {
  const expected = scan.state();
  if (stored.high !== scan.high) return false;
  if (stored.truncated !== null || expected === undefined) return true;
  return (
    Array.isArray(stored.missing) &&
    stored.missing.length === expected.missing.length &&
    stored.missing.every(([from, to], i) => from === expected.missing[i]![0] && to === expected.missing[i]![1])
  );
};
