/** A small seeded generator: the same seed builds the same incident, so a failing one can be built again. */
export interface Random {
  /** An integer from 0 to `below` - 1. */
  below(below: number): number;
  chance(share: number): boolean;
  pick<T>(from: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
  hex(digits: number): string;
  word(): string;
}

/** mulberry32. */
export const randomFrom = (seed: number): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  return {
    below,
    pick,
    chance: (share) => next() < share,
    shuffled: (items) => {
      const result = [...items];
      for (let at = result.length - 1; at > 0; at--) {
        const other = below(at + 1);
        [result[at], result[other]] = [result[other]!, result[at]!];
      }
      return result;
    },
    hex: (digits) => Array.from({ length: digits }, () => below(16).toString(16)).join(''),
    word: () => Array.from({ length: 4 + below(6) }, () => letters[below(26)]!).join(''),
  };
};
