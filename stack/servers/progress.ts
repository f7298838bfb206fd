import type { Say } from './registries.ts';

const tickMs = 5000;

/** Waits for `work`, and tells every few seconds that it goes on. */
export async function telling<T>(doing: string, say: Say, work: Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const ticker = setInterval(() => {
    say(`  ... ${doing} (${Math.round((performance.now() - startedMs) / 1000)} s)`);
  }, tickMs);
  try {
    return await work;
  } finally {
    clearInterval(ticker);
  }
}
