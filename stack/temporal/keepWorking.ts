import { setTimeout as delay } from 'node:timers/promises';
import { placeOf, type Log } from '../../api/log.ts';
import type { RunningWorkers } from './workers.ts';

const restartMsMin = 1000;
const restartMsMax = 30_000;

export interface Work {
  isHealthy(): boolean;
  /** Resolves after the signal, when the workers have ended. */
  readonly done: Promise<void>;
}

/** Starts the Temporal workers, and again where Temporal is away or a worker fails. */
export const keepWorking = (start: () => Promise<RunningWorkers>, signal: AbortSignal, log: Log): Work => {
  let workers: RunningWorkers | undefined;
  const work = async (): Promise<void> => {
    for (let waitMs = restartMsMin; !signal.aborted; waitMs = Math.min(waitMs * 2, restartMsMax)) {
      try {
        workers = await start();
        waitMs = restartMsMin;
        await Promise.race([workers.done, aborted(signal)]);
        if (signal.aborted) await workers.stop();
      } catch (error) {
        log({ level: 'error', message: 'the Temporal workers will be started again', ...placeOf(error) });
      }
      workers = undefined;
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  };
  return { isHealthy: () => workers?.isHealthy() ?? false, done: work() };
};

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
