/**
 * Records what this process does, as an emitter of its own: numbers events without gaps, gives them ids and times,
 * and tries again (same id, same number) while the trail is away. No record, no action: callers await the receipt.
 * A number whose event could not be recorded is filled later by an entry that says so, never by the event itself: its
 * caller was told that it did not happen.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import type { EventInput } from '../schema/event.ts';
import type { CorrelationId, EventId, PrincipalId, SpanId } from '../schema/ids.ts';
import type { Receipt } from './append-item.ts';
import { TrailError } from './errors.ts';
import type { LogWriter } from './writer.ts';

/** What the recorder adds where it is not given. */
type Given = 'id' | 'emitter' | 'eventTime' | 'spanId';
export type EventDraft = Omit<EventInput, Given> & Partial<Pick<EventInput, 'id' | 'eventTime' | 'spanId'>>;

export const newEventId = (): EventId => uuidv7() as EventId;
export const newSpanId = (): SpanId => randomBytes(8).toString('hex') as SpanId;
export const newCorrelationId = (): CorrelationId => randomBytes(16).toString('hex') as CorrelationId;

const attempts = 3;
const retryMs = 500;

/** Stands under the number of an event that was given up. */
const givenUp: EventDraft = {
  correlationId: newCorrelationId(),
  actor: { principal: 'trailkeeper' as PrincipalId, kind: 'platform' },
  action: 'input.refuse',
  phase: 'outcome',
  outcome: 'failure',
  system: 'trailkeeper',
  error: { code: 'UNAVAILABLE' },
};

export class Recorder {
  readonly #writer: LogWriter;
  readonly #emitter: string;
  #sequence = 0;
  /** Numbers of events that were given up and may stand in the log or not. */
  #open: number[] = [];
  #filling: Promise<void> = Promise.resolve();

  /** `emitter` must be new with this process, since it counts from 1. */
  constructor(writer: LogWriter, emitter: string) {
    this.#writer = writer;
    this.#emitter = emitter;
  }

  /** Receipts in the order of the drafts. Throws TrailError where any of them could not be recorded. */
  async record(drafts: readonly EventDraft[]): Promise<Receipt[]> {
    const events = drafts.map((draft) => this.#numbered(draft, (this.#sequence += 1)));
    for (let attempt = 1; ; attempt += 1) {
      try {
        const results = await this.#writer.append(events, 'platform');
        const receipts = results.map((result) => {
          if (result.status === 'refused')
            throw new TrailError('LOG_INCONSISTENT', `the platform's own event was refused: ${result.refusal.code}`);
          return result.receipt;
        });
        // Late is early enough: nobody waits for it.
        if (this.#open.length > 0) this.fill().catch(() => undefined);
        return receipts;
      } catch (error) {
        if (error instanceof TrailError && error.retryable && attempt < attempts) {
          await delay(retryMs * attempt);
          continue;
        }
        this.#open.push(...events.map(({ emitter }) => emitter.sequence));
        throw error;
      }
    }
  }

  /** Fills the numbers of events that were given up. Throws where the trail is still away; they stay open then. */
  fill(): Promise<void> {
    this.#filling = this.#filling.catch(() => undefined).then(() => this.#fillOpen());
    return this.#filling;
  }

  async #fillOpen(): Promise<void> {
    const open = this.#open;
    if (open.length === 0) return;
    this.#open = [];
    try {
      // Refused (SEQUENCE_CONFLICT) where the event stands in the log after all: the number is not missing then.
      await this.#writer.append(
        open.map((sequence) => this.#numbered(givenUp, sequence)),
        'platform',
      );
    } catch (error) {
      this.#open.push(...open);
      throw error;
    }
  }

  #numbered(draft: EventDraft, sequence: number): EventInput {
    return {
      id: newEventId(),
      spanId: newSpanId(),
      eventTime: new Date().toISOString(),
      ...draft,
      emitter: { id: this.#emitter, sequence },
    };
  }
}
