/**
 * Records what would otherwise fill the log, coalesced by key and minute: the first of a minute at once, and what
 * follows in the same minute as one sum when it is over. Nobody's `note` returns before the first is recorded; a crash
 * loses at most the sum of the minute, never that there was something.
 */
const minuteMs = 60_000;

export type Amounts = Readonly<Record<string, number>>;

interface Tally<S> {
  readonly minute: number;
  readonly first: Promise<void>;
  subject: S;
  rest: Record<string, number>;
}

export interface MinuteTallyOptions<S, A extends Amounts> {
  readonly nowMs: () => number;
  readonly record: (subject: S, amounts: A) => Promise<void>;
}

export class MinuteTally<S, A extends Amounts> {
  readonly #options: MinuteTallyOptions<S, A>;
  readonly #tallies = new Map<string, Tally<S>>();

  constructor(options: MinuteTallyOptions<S, A>) {
    this.#options = options;
  }

  /** Throws where the first of the minute could not be recorded: what is to be recorded must then not happen. */
  async note(key: string, subject: S, amounts: A): Promise<void> {
    const minute = this.#minute();
    const known = this.#tallies.get(key);
    if (known?.minute === minute) {
      await known.first;
      known.subject = subject;
      add(known.rest, amounts);
      return;
    }
    const tally: Tally<S> = {
      minute,
      first: this.#options.record(subject, amounts),
      subject,
      rest: {},
    };
    this.#tallies.set(key, tally);
    try {
      await Promise.all([tally.first, known && this.#recordRest(known)]);
    } catch (error) {
      if (this.#tallies.get(key) === tally) this.#tallies.delete(key);
      throw error;
    }
  }

  /** Records the sums of the minutes that are over. Where that fails they are kept, and it is tried again. */
  async sweep(): Promise<void> {
    const minute = this.#minute();
    const over = [...this.#tallies].filter(([, tally]) => tally.minute < minute);
    await Promise.all(
      over.map(async ([key, tally]) => {
        await tally.first.catch(() => undefined);
        await this.#recordRest(tally);
        if (this.#tallies.get(key) === tally) this.#tallies.delete(key);
      }),
    );
  }

  /** Records the sums of the minute that is running, too. */
  async close(): Promise<void> {
    const all = [...this.#tallies.values()];
    this.#tallies.clear();
    await Promise.allSettled(all.map((tally) => this.#recordRest(tally)));
  }

  async #recordRest(tally: Tally<S>): Promise<void> {
    const { rest } = tally;
    if (Object.keys(rest).length === 0) return;
    tally.rest = {};
    try {
      await this.#options.record(tally.subject, rest as A);
    } catch (error) {
      add(tally.rest, rest);
      throw error;
    }
  }

  #minute(): number {
    return Math.floor(this.#options.nowMs() / minuteMs);
  }
}

const add = (sum: Record<string, number>, amounts: Amounts): void => {
  for (const [name, amount] of Object.entries(amounts)) sum[name] = (sum[name] ?? 0) + amount;
};
