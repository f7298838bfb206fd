/**
 * The log as one execution of an activity uses it. An activity can run twice, even at the same time (one that timed out
 * may still be running), so every entry has an id that both know, and the log decides: whoever is first has written it,
 * and the other takes what stands. What an execution writes carries a span of its own, so it can tell which is which.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { finalFailures } from '../../domain/action/contract.ts';
import { platformEvent, type EventInput } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import { TrailError, type RefusalCode } from '../../trail/errors.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import type { Trail } from '../../trail/trail.ts';
import { FinalFailure } from '../failures.ts';

/**
 * `ours`: this execution wrote it. `standing`: the log holds it as another execution wrote it. `stale`: not written,
 * since control state changed after the decision.
 */
export type Placing = 'ours' | 'standing' | 'stale';

export interface Placed {
  readonly placing: Placing;
  /** In the log, where it is ours. */
  readonly index?: number;
}

const retryMsMin = 100;
const retryMsMax = 2000;
const indexWaitMs = 5000;

export class ActionLog {
  readonly #trail: Pick<Trail, 'writer' | 'reader'>;
  readonly #signal: AbortSignal;

  /** `signal` ends the waiting: the activity was given to somebody else, or the worker stops. */
  constructor(trail: Pick<Trail, 'writer' | 'reader'>, signal: AbortSignal) {
    this.#trail = trail;
    this.#signal = signal;
  }

  /**
   * Appends, one answer an event. While the fate of any is not known, the same bytes are sent again: so an execution
   * never mistakes its own entry for another's. Throws FinalFailure ACTION_ALREADY_RUN where the action's numbers are
   * taken by entries of other ids.
   */
  async append(events: readonly EventInput[], conditions: { ifControlEpoch?: number } = {}): Promise<Placed[]> {
    const checked = events.map((event) => platformEvent.parse(event));
    const results = await this.#persist(() => this.#trail.writer.append(checked, 'platform', conditions));
    return results.map((result) =>
      result.status === 'refused'
        ? { placing: placingOf(result.refusal.code) }
        : { placing: 'ours', index: result.receipt.index },
    );
  }

  /** The entry of this id, where the index holds it. Everything acknowledged before is looked through. */
  async find(id: EventId): Promise<IndexedEvent | undefined> {
    await this.#fresh();
    return this.#trail.reader.byId(id);
  }

  /** The entry of this id, which is known to stand in the log; waits until the index holds it. */
  async standing(id: EventId): Promise<IndexedEvent> {
    for (;;) {
      const found = await this.find(id);
      if (found) return found;
      await delay(retryMsMin, undefined, { signal: this.#signal });
    }
  }

  /** Entries of the action, in log order. */
  async ofEmitter(emitter: string): Promise<IndexedEvent[]> {
    await this.#fresh();
    const found: IndexedEvent[] = [];
    for (;;) {
      const after = found.at(-1)?.index;
      const page = await this.#trail.reader.find({ emitter }, { limit: 1000, ...(after !== undefined && { after }) });
      found.push(...page);
      if (page.length < 1000) return found;
    }
  }

  async #fresh(): Promise<void> {
    const behind = await this.#trail.reader.fresh(indexWaitMs);
    if (behind > 0) throw new TrailError('TRAIL_UNAVAILABLE', `the index is ${behind} entries behind`);
  }

  async #persist<T>(work: () => Promise<T>): Promise<T> {
    for (let waitMs = retryMsMin; ; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof TrailError && error.retryable)) throw error;
      }
      await delay(waitMs, undefined, { signal: this.#signal });
    }
  }
}

const placingOf = (code: RefusalCode): Placing => {
  if (code === 'ID_CONFLICT') return 'standing';
  if (code === 'STALE_CONTROL_EPOCH') return 'stale';
  throw new FinalFailure(code === 'SEQUENCE_CONFLICT' ? finalFailures.alreadyRun : code);
};
