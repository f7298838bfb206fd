import { setTimeout as delay } from 'node:timers/promises';

const withinMs = 120_000;
const everyMs = 50;

/** Tries until it does not throw, and gives what it gave; after two minutes, the last error is thrown. */
export const until = async <T>(attempt: () => Promise<T> | T): Promise<T> => {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await delay(everyMs);
    }
  }
};
