/** How many subscriptions a process and a principal hold: each costs queries for as long as it is open. */
import { ApiError } from '../errors.ts';
import type { Caller } from '../context.ts';
import type { ApiMetrics } from '../metrics.ts';

export class SubscriptionSlots {
  readonly #limits: { readonly all: number; readonly perPrincipal: number };
  readonly #metrics: ApiMetrics;
  readonly #held = new Map<string, number>();
  #all = 0;
  #waiting: (() => void)[] = [];

  constructor(limits: { readonly all: number; readonly perPrincipal: number }, metrics: ApiMetrics) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** Resolves once none is open. */
  async idle(): Promise<void> {
    while (this.#all > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Throws QUEUE_FULL where there are too many; the returned function gives the slot back. */
  take({ instance, principal }: Caller): () => void {
    const key = `${instance}/${principal}`;
    const own = this.#held.get(key) ?? 0;
    if (this.#all >= this.#limits.all || own >= this.#limits.perPrincipal)
      throw new ApiError('QUEUE_FULL', 'too many subscriptions are open; close one or try again later');
    this.#change(key, 1);
    return () => this.#change(key, -1);
  }

  #change(key: string, by: 1 | -1): void {
    const own = (this.#held.get(key) ?? 0) + by;
    if (own === 0) this.#held.delete(key);
    else this.#held.set(key, own);
    this.#all += by;
    this.#metrics.subscriptions.set(this.#all);
    if (this.#all > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
