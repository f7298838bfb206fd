/**
 * How often refused input is recorded: otherwise whoever sends nonsense fills the log. What is not recorded is counted,
 * and the count is in the caller's next entry.
 */
const perMinute = 10;
const minuteMs = 60_000;
const callersMax = 10_000;

interface Account {
  since: number;
  recorded: number;
  unrecorded: number;
}

export class RefusalBudget {
  readonly #accounts = new Map<string, Account>();

  /** Undefined where nothing may be recorded now; else how many refusals were not recorded since the last entry. */
  spend(caller: string, nowMs: number, refusals: number): { readonly unrecorded: number } | undefined {
    const account = this.#account(caller, nowMs);
    if (account.recorded >= perMinute) {
      account.unrecorded += refusals;
      return undefined;
    }
    account.recorded += 1;
    const { unrecorded } = account;
    account.unrecorded = 0;
    return { unrecorded };
  }

  #account(caller: string, nowMs: number): Account {
    let account = this.#accounts.get(caller);
    if (!account) {
      if (this.#accounts.size >= callersMax) this.#accounts.delete(this.#accounts.keys().next().value!);
      account = { since: nowMs, recorded: 0, unrecorded: 0 };
      this.#accounts.set(caller, account);
    }
    if (nowMs - account.since >= minuteMs) {
      account.since = nowMs;
      account.recorded = 0;
    }
    return account;
  }
}
