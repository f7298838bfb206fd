/** Which entries a sample looks at: anybody who knows the seed, which is recorded, can tell whether it was drawn fairly. */
import { createHash } from 'node:crypto';

/**
 * Log indexes below `size`, ascending, without repetition; at most `count`. The k-th draw is the first 6 bytes of
 * SHA-256(`<seed>/<k>`) as a fraction of 2^48.
 */
export const sampledIndexes = (seed: string, size: number, count: number): number[] => {
  if (size <= count) return Array.from({ length: size }, (_, index) => index);
  const drawn = new Set<number>();
  for (let draw = 0; drawn.size < count; draw += 1) {
    const digest = createHash('sha256').update(`${seed}/${draw}`).digest();
    drawn.add(Math.floor((digest.readUIntBE(0, 6) / 2 ** 48) * size));
  }
  return [...drawn].toSorted((a, b) => a - b);
};
