/** How many packs a process makes at once, for all and for one principal: each costs a core for as long as it lasts. */
import type { Caller } from '../context.ts';
import { ApiError } from '../errors.ts';

export class EvidenceSlots {
  readonly #limits: { readonly all: number; readonly perPrincipal: number };
  readonly #held = new Map<string, number>();
  #all = 0;
  #waiting: (() => void)[] = [];

  constructor(limits: { readonly all: number; readonly perPrincipal: number }) {
    this.#limits = limits;
  }

  /** Throws QUEUE_FULL where there are too many; the returned function gives the slot back. */
  take({ instance, principal }: Caller): () => void {
    const key = `${instance}/${principal}`;
    const own = this.#held.get(key) ?? 0;
    if (this.#all >= this.#limits.all || own >= this.#limits.perPrincipal)
      throw new ApiError(
        'QUEUE_FULL',
        'too many evidence packs are being fetched; the link stays good, try again later',
      );
    this.#all += 1;
    this.#held.set(key, own + 1);
    return () => this.#giveBack(key);
  }

  /** Resolves once none is being made. */
  async idle(): Promise<void> {
    while (this.#all > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #giveBack(key: string): void {
    const own = this.#held.get(key)! - 1;
    if (own === 0) this.#held.delete(key);
    else this.#held.set(key, own);
    this.#all -= 1;
    if (this.#all === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
