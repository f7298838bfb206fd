/**
 * Sequence numbers of emitters: each counts from 1 without gaps, so a gap shows that something was never recorded. A late
 * entry that fills a gap is in order.
 */
import type { Warning } from './report.ts';

interface Range {
  from: number;
  to: number;
}

interface Emitter {
  highest: number;
  /** Ascending. */
  missing: Range[];
}

export class EmitterSequences {
  readonly #emitters = new Map<string, Emitter>();
  readonly #repeated: Warning[] = [];

  /** Notes that the entry at `index` is number `sequence` (from 1) of `emitter`. */
  see(emitter: string, sequence: number, index: number): void {
    let known = this.#emitters.get(emitter);
    if (!known) this.#emitters.set(emitter, (known = { highest: 0, missing: [] }));
    if (sequence > known.highest) {
      if (sequence > known.highest + 1) known.missing.push({ from: known.highest + 1, to: sequence - 1 });
      known.highest = sequence;
      return;
    }
    const at = known.missing.findIndex(({ from, to }) => from <= sequence && sequence <= to);
    const gap = known.missing[at];
    if (!gap) {
      this.#repeated.push({ kind: 'sequence-repeated', emitter, sequence, index });
      return;
    }
    const rest = [
      { from: gap.from, to: sequence - 1 },
      { from: sequence + 1, to: gap.to },
    ].filter(({ from, to }) => from <= to);
    known.missing.splice(at, 1, ...rest);
  }

  /** Every gap that is left, by emitter, and every number that came twice. */
  warnings(): Warning[] {
    const gaps = [...this.#emitters].flatMap(([emitter, { missing }]) =>
      missing.map(({ from, to }): Warning => ({ kind: 'sequence-gap', emitter, from, to })),
    );
    return [...gaps, ...this.#repeated];
  }
}
