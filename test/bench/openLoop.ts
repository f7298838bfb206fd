/** Arrivals that do not wait for what came before them: as callers of a service are, who know nothing of each other. */
import { setTimeout as delay } from 'node:timers/promises';
import { randomOf } from './text.ts';

/** Moments in milliseconds from the beginning, at random (Poisson), so many a second on average. */
export const arrivals = (perSecond: number, durationMs: number, seed: number): number[] => {
  const random = randomOf(seed);
  const times: number[] = [];
  for (let at = 0; ;) {
    at += (-Math.log(1 - random()) * 1000) / perSecond;
    if (at >= durationMs) return times;
    times.push(at);
  }
};

/**
 * Starts the work of each arrival at its moment, or as soon after it as the process gets to it, and returns how long
 * after its moment each was done: a wait before the start is a wait all the same.
 */
export const measureOpen = async (
  moments: readonly number[],
  work: (arrival: number) => Promise<unknown>,
): Promise<number[]> => {
  const began = performance.now();
  const latencies: number[] = [];
  const running: Promise<void>[] = [];
  for (let next = 0; next < moments.length;) {
    const now = performance.now() - began;
    for (; next < moments.length && moments[next]! <= now; next += 1) {
      const moment = moments[next]!;
      running.push(work(next).then(() => void latencies.push(performance.now() - began - moment)));
    }
    if (next < moments.length) await delay(Math.max(0, moments[next]! - (performance.now() - began)));
  }
  await Promise.all(running);
  return latencies;
};
