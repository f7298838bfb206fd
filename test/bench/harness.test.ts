import { describe, expect, it } from 'vitest';
import { holdContest, median, quantile, reaches, withCallers, type Contender } from './harness.ts';

describe('the harness of the benchmarks', () => {
  it('takes ratios within a round and reports their median, without the first round', async () => {
    const speeds = { base: [1, 100, 200, 400], own: [1, 50, 300, 100] };
    const order: string[] = [];
    const contender = (name: 'base' | 'own'): Contender<number> => ({
      name,
      measure: async (round) => {
        order.push(`${round}${name}`);
        return { speed: speeds[name][round]! };
      },
    });
    const metric = { name: 'speed', unit: 'events/s', better: 'higher' } as const;
    const contest = {
      title: 't',
      make: (round: number) => round,
      metrics: [metric],
      baseline: contender('base'),
      subjects: [{ ...contender('own'), bars: { speed: { atLeast: 0.5 } } }],
    };
    const [comparison] = await holdContest(contest, { rounds: 3, settle: () => undefined });
    expect(comparison?.ratio).toEqual({ median: 0.5, rounds: [0.5, 1.5, 0.25], min: 0.25, max: 1.5 });
    expect(comparison?.baseline).toEqual({ name: 'base', median: 200, rounds: [100, 200, 400] });
    expect(comparison?.bar).toEqual({ atLeast: 0.5, reached: true });
    expect(order).toEqual(['0own', '0base', '1base', '1own', '2own', '2base', '3base', '3own']);
  });

  it('says whether a bar is reached', () => {
    expect([reaches({ atLeast: 0.8 }, 0.79), reaches({ atLeast: 0.8 }, 0.8)]).toEqual([false, true]);
    expect([reaches({ atMost: 1.2 }, 1.21), reaches({ atMost: 1.2 }, 1.2)]).toEqual([false, true]);
  });

  it('knows medians and quantiles', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([quantile(hundred, 0.5), quantile(hundred, 0.95), quantile([7], 0.95)]).toEqual([50, 95, 7]);
  });

  it('gives every item to one caller, and no caller two at once', async () => {
    const seen: number[] = [];
    const busy = new Set<number>();
    await withCallers([1, 2, 3, 4, 5, 6, 7], 3, async (item, caller) => {
      expect(busy.has(caller)).toBe(false);
      busy.add(caller);
      await Promise.resolve();
      seen.push(item);
      busy.delete(caller);
    });
    expect(seen.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});
