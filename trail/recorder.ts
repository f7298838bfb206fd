/**
 * Records what this process does, as an emitter of its own: numbers events without gaps, gives them ids and times,
 * and tries again (same id, same number) while the trail is away. No record, no action: callers await the receipt.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import type { EventInput } from '../schema/event.ts';
import type { CorrelationId, EventId, SpanId } from '../schema/ids.ts';
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

export class Recorder {
  readonly #writer: LogWriter;
  readonly #emitter: string;
  #sequence = 0;

  /** `emitter` must be new with this process, since it counts from 1. */
  constructor(writer: LogWriter, emitter: string) {
    this.#writer = writer;
    this.#emitter = emitter;
  }

  /** Receipts in the order of the drafts. Throws TrailError where any of them could not be recorded. */
  async record(drafts: readonly EventDraft[]): Promise<Receipt[]> {
    const events = drafts.map((draft): EventInput => {
      this.#sequence += 1;
      return {
        id: newEventId(),
        spanId: newSpanId(),
        eventTime: new Date().toISOString(),
        ...draft,
        emitter: { id: this.#emitter, sequence: this.#sequence },
      };
    });
    for (let attempt = 1; ; attempt += 1) {
      try {
        const results = await this.#writer.append(events, 'platform');
        return results.map((result) => {
          if (result.status === 'refused')
            throw new TrailError('LOG_INCONSISTENT', `the platform's own event was refused: ${result.refusal.code}`);
          return result.receipt;
        });
      } catch (error) {
        if (!(error instanceof TrailError) || !error.retryable || attempt === attempts) throw error;
        await delay(retryMs * attempt);
      }
    }
  }
}
