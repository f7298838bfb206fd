/** Batches of lines on their way into the log: admitted beside each other, appended and answered in their order. */
import { appendAdmitted, type RecordResult } from '../operations/events.ts';
import { admitReported } from '../operations/reportedEvents.ts';
import type { OperationContext } from '../context.ts';
import type { EventAnswers } from './eventAnswers.ts';
import { incomingLine, type EndedLine } from './eventLine.ts';

/** One is admitted while the other is being appended. More would only take memory: a log has one segment in flight. */
const inFlightMax = 2;

export class EventIntake {
  readonly #context: OperationContext;
  readonly #answers: Pick<EventAnswers, 'write'>;
  readonly #lineBytesMax: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #inFlight: Promise<void>[] = [];
  /** Settles when the batch before was handed to the log. */
  #handedOver: Promise<void> = Promise.resolve();
  #answered: Promise<void> = Promise.resolve();

  /** `onFailure`: told as soon as a batch could not be appended; those after it are then not answered. */
  constructor(
    context: OperationContext,
    answers: Pick<EventAnswers, 'write'>,
    { lineBytesMax, onFailure }: { readonly lineBytesMax: number; readonly onFailure: (error: unknown) => void },
  ) {
    this.#context = context;
    this.#answers = answers;
    this.#lineBytesMax = lineBytesMax;
    this.#onFailure = onFailure;
  }

  /** Returns when there is room for another batch: the caller has taken the answers of all but the last ones. */
  async take(lines: readonly EndedLine[]): Promise<void> {
    if (this.#inFlight.length >= inFlightMax) await this.#inFlight.shift();
    const before = this.#answered;
    const results = this.#record(lines);
    // Waited for in its turn; until then a failure must not end the process.
    results.catch(() => undefined);
    const answered = (async () => {
      await before;
      const numbers = lines.map(({ number }) => number);
      await this.#answers.write(numbers, await results);
    })();
    answered.catch(this.#onFailure);
    this.#answered = answered;
    this.#inFlight.push(answered);
  }

  /** Once all that was taken is answered. Throws what kept a batch from it. */
  settled(): Promise<void> {
    return this.#answered;
  }

  async #record(lines: readonly EndedLine[]): Promise<RecordResult[]> {
    const before = this.#handedOver;
    const handedOver = Promise.withResolvers<void>();
    this.#handedOver = handedOver.promise;
    this.#handedOver.catch(() => undefined);
    try {
      const events = lines.map((line) => incomingLine(line, this.#lineBytesMax));
      const admitted = await admitReported(this.#context, events);
      // What came first is appended first; nothing is after a batch that was not.
      await before;
      const results = appendAdmitted(this.#context, events, admitted);
      handedOver.resolve();
      return await results;
    } catch (error) {
      handedOver.reject(error);
      throw error;
    }
  }
}
