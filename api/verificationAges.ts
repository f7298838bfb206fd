/** How long ago each kind of self-verification ended, in the instance where that is longest. */
import { checkKinds, type CheckKind } from '../domain/verification/contract.ts';
import type { Trail } from '../trail/trail.ts';
import { lastChecks } from '../trail/verification/last-checks.ts';

/** Every scrape need not ask every log. */
const askedEveryMs = 60_000;

export class VerificationAges {
  readonly #trails: () => Iterable<Pick<Trail, 'reader'>>;
  readonly #nowMs: () => number;
  #asked: { readonly atMs: number; readonly ended: Promise<Record<CheckKind, number>> } | undefined;

  constructor(trails: () => Iterable<Pick<Trail, 'reader'>>, nowMs: () => number = Date.now) {
    this.#trails = trails;
    this.#nowMs = nowMs;
  }

  /** In seconds; of a log that was never checked, since its first entry. 0 where there is no log. */
  async seconds(): Promise<Record<CheckKind, number>> {
    const nowMs = this.#nowMs();
    if (!this.#asked || nowMs - this.#asked.atMs > askedEveryMs)
      this.#asked = { atMs: nowMs, ended: this.#oldestEnds(nowMs) };
    const ended = await this.#asked.ended;
    const since = (kind: CheckKind) => Math.max(0, nowMs - ended[kind]) / 1000;
    return { sample: since('sample'), full: since('full') };
  }

  async #oldestEnds(nowMs: number): Promise<Record<CheckKind, number>> {
    const oldest = { sample: nowMs, full: nowMs };
    for (const { reader } of this.#trails()) {
      // A database that is away shows in readiness; the other metrics are still to be had.
      const ends = await endsOf(reader).catch(() => undefined);
      for (const kind of checkKinds) oldest[kind] = Math.min(oldest[kind], ends?.[kind] ?? nowMs);
    }
    return oldest;
  }
}

const endsOf = async (reader: Trail['reader']): Promise<Record<CheckKind, number | undefined>> => {
  const last = await lastChecks(reader);
  const first = await reader.at(0);
  const endOf = (kind: CheckKind): number | undefined => {
    const time = (last[kind] ?? first)?.entry.receivedTime;
    return time === undefined ? undefined : Date.parse(time);
  };
  return { sample: endOf('sample'), full: endOf('full') };
};
