/** Events as agents send them: 1 KiB of JSON each, of which 500 bytes are the payload's text. */
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { platformEvent, type EventInput } from '../../schema/event.ts';
import type { CorrelationId, EventId, PrincipalId, RunId, SpanId } from '../../schema/ids.ts';
import { randomOf, textOfBytes } from './text.ts';

export const payloadBytes = 500;
export const eventBytes = 1024;

const random = randomOf(20_261_124);
/** Drawn from in turn, so that making events does not weigh on what is measured. */
const texts = Array.from({ length: 4096 }, () => textOfBytes(payloadBytes, random));
let drawn = 0;

const hex = (bytes: number) => randomBytes(bytes).toString('hex');

/** What events of one run have in common. */
export interface RunOfEvents {
  readonly correlationId: CorrelationId;
  readonly runId: RunId;
  readonly emitter: string;
}

export const newRun = (emitter: string): RunOfEvents => ({
  correlationId: hex(16) as CorrelationId,
  runId: uuidv7() as RunId,
  emitter,
});

/** `subject`: number of the contact that the event is about; without it, the event is about nobody. */
export interface EventShape {
  readonly run: RunOfEvents;
  readonly sequence: number;
  readonly causedBy?: EventId;
  readonly subject?: number;
  readonly phase?: EventInput['phase'];
}

export const benchEvent = ({ run, sequence, causedBy, subject, phase = 'outcome' }: EventShape): EventInput => {
  const contact = `0035g00000${String(subject ?? sequence % 10_000).padStart(8, '0')}`;
  return {
    id: uuidv7() as EventId,
    correlationId: run.correlationId,
    spanId: hex(8) as SpanId,
    ...(causedBy && { causedBy }),
    runId: run.runId,
    emitter: { id: run.emitter, sequence },
    eventTime: new Date().toISOString(),
    actor: { principal: 'sales-agent' as PrincipalId, kind: 'agent' },
    onBehalfOf: 'dana' as PrincipalId,
    action: 'record.update',
    phase,
    ...(phase === 'outcome' && { outcome: 'success' as const }),
    system: 'salesforce',
    endpoint: 'PATCH /sobjects/Contact/{id}',
    ...(subject !== undefined && {
      resource: { kind: 'Contact', id: contact, subject: 0 },
      subjects: [{ system: 'salesforce' as const, kind: 'Contact', id: contact }],
    }),
    purpose: 'quarterly-contact-update',
    parts: [
      {
        name: 'after',
        content: texts[(drawn += 1) % texts.length]!,
        ...(subject !== undefined && { subject: 0 }),
      },
    ],
  };
};

/** Batches of one emitter each, numbered on from where that emitter stands. */
export class Producers {
  readonly #runs: RunOfEvents[];
  readonly #sequences: number[];
  readonly #shape: (number: number) => Partial<EventShape>;
  #made = 0;

  /** `shape` is asked for each event, by its number. */
  constructor(count: number, shape: (number: number) => Partial<EventShape> = () => ({})) {
    this.#runs = Array.from({ length: count }, () => newRun(`producer-${hex(6)}`));
    this.#sequences = this.#runs.map(() => 0);
    this.#shape = shape;
  }

  /** What opens the runs that the events belong to. */
  openings(): EventInput[] {
    return this.#runs.map(({ runId, correlationId }) => ({
      id: runId as string as EventId,
      correlationId,
      spanId: hex(8) as SpanId,
      runId,
      emitter: { id: `platform/run/${runId}`, sequence: 1 },
      eventTime: new Date().toISOString(),
      actor: { principal: 'sales-agent' as PrincipalId, kind: 'agent' },
      action: 'run.open',
      phase: 'intent',
      system: 'trailkeeper',
    }));
  }

  event(producer: number): EventInput {
    const sequence = (this.#sequences[producer]! += 1);
    return benchEvent({ run: this.#runs[producer]!, sequence, ...this.#shape((this.#made += 1)) });
  }

  /** For each producer its batches, in order. */
  batches(events: number, batchSize: number): EventInput[][][] {
    const each = Math.ceil(events / batchSize / this.#runs.length);
    return this.#runs.map((_, producer) =>
      Array.from({ length: each }, () => Array.from({ length: batchSize }, () => this.event(producer))),
    );
  }
}

/** Throws where an event would not pass the door, or is not of the size that is claimed. One about a subject is larger. */
export const checkShape = (event: EventInput): void => {
  platformEvent.parse(event);
  const size = Buffer.byteLength(JSON.stringify(event));
  const named = event.subjects === undefined ? 0 : 160;
  if (Math.abs(size - named - eventBytes) > 32) throw new RangeError(`an event of the benchmarks is ${size} bytes`);
};
