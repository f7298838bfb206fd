/** Callers that append without end and repeat whatever they could not know: what an integrator's client does. */
import { setTimeout as delay } from 'node:timers/promises';
import type { EventInput } from '../../schema/event.ts';
import type { Receipt } from '../../trail/append-item.ts';
import { TrailError } from '../../trail/errors.ts';
import type { LogWriter } from '../../trail/writer.ts';
import { emitterOf } from '../trail/events.ts';

export interface Callers {
  /** All receipts so far. */
  readonly receipts: readonly Receipt[];
  /** Resolves once so many more receipts than now are there. */
  more(count: number): Promise<void>;
  /** Ends new calls, and waits until what is under way is acknowledged. Throws what no caller could do anything about. */
  settle(): Promise<void>;
}

const retryMs = 100;

/** Appends until every event is acknowledged, by the same ids; only an error that allows it is tried again. */
export const appendSettled = async (writer: () => LogWriter, events: readonly EventInput[]): Promise<Receipt[]> => {
  for (;;) {
    try {
      const results = await writer().append(events, 'platform');
      return results.map((result) => {
        if (result.status === 'refused') throw new Error(`refused: ${result.refusal.code} ${result.refusal.message}`);
        return result.receipt;
      });
    } catch (error) {
      if (!(error instanceof TrailError) || !error.retryable) throw error;
      await delay(retryMs);
    }
  }
};

/** One caller a writer; `batch` events a call. */
export const startCallers = (name: string, writers: readonly LogWriter[], batch: number): Callers => {
  const receipts: Receipt[] = [];
  let stopped = false;
  const failures: unknown[] = [];
  const waiting = new Set<() => void>();
  const calls = writers.map(async (writer, number) => {
    const next = emitterOf(`${name}-${number}`);
    while (!stopped) {
      const events = Array.from({ length: batch }, () => next());
      try {
        receipts.push(...(await appendSettled(() => writer, events)));
      } catch (error) {
        failures.push(error);
        stopped = true;
      }
      for (const wake of waiting) wake();
    }
  });
  return {
    receipts,
    async more(count) {
      const wanted = receipts.length + count;
      while (receipts.length < wanted && failures.length === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await promise;
        waiting.delete(resolve);
      }
      if (failures.length > 0) throw failures[0] as Error;
    },
    async settle() {
      stopped = true;
      await Promise.all(calls);
      if (failures.length > 0) throw failures[0] as Error;
    },
  };
};
