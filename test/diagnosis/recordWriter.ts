/** Writes entries as a log would hold them: numbered per emitter, indexed in order of arrival, some arriving late. */
import type { ControlChange } from '../../schema/control.ts';
import type { Entry, PartContent, RecordedEvent } from '../../schema/event.ts';
import type { CorrelationId, EventId, InstanceId, PrincipalId, SpanId } from '../../schema/ids.ts';
import { emptyEmitter, observe, type EmitterState } from '../../domain/emitters.ts';
import type { Random } from './random.ts';

type Content = Extract<PartContent, { state: 'present' }>['content'];

export type Draft = Omit<Partial<Entry>, 'emitter' | 'parts' | 'actor'> &
  Pick<Entry, 'action' | 'phase'> & {
    readonly emitter: string;
    readonly actor: { readonly principal: string; readonly kind: Entry['actor']['kind'] };
    readonly content?: Readonly<Record<string, Content>>;
  };

export class RecordWriter {
  readonly log: RecordedEvent[] = [];
  readonly #random: Random;
  readonly #sequences = new Map<string, number>();
  readonly #skewsMs = new Map<string, number>();
  readonly #late: { entry: Entry; parts: RecordedEvent['parts'] }[] = [];
  #nowMs = Date.UTC(2026, 10, 24, 9);

  constructor(random: Random) {
    this.#random = random;
  }

  get now(): string {
    return new Date(this.#nowMs).toISOString();
  }

  /** From here on this emitter's clock is off by so much. */
  skew(emitter: string, skewMs: number): void {
    this.#skewsMs.set(emitter, skewMs);
  }

  id(): EventId {
    const time = this.#nowMs.toString(16).padStart(12, '0');
    const r = this.#random;
    return `${time.slice(0, 8)}-${time.slice(8)}-7${r.hex(3)}-${r.pick(['8', '9', 'a', 'b'])}${r.hex(3)}-${r.hex(12)}` as EventId;
  }

  span(): SpanId {
    return `1${this.#random.hex(15)}` as SpanId;
  }

  correlation(): CorrelationId {
    return `1${this.#random.hex(31)}` as CorrelationId;
  }

  write(draft: Draft): RecordedEvent {
    const { entry, parts } = this.#make(draft);
    return this.#append(entry, parts);
  }

  /** Made now, arriving at the next `arriveLate`, after what was made later. */
  writeLate(draft: Draft): EventId {
    const made = this.#make(draft);
    this.#late.push(made);
    return made.entry.id;
  }

  arriveLate(): void {
    for (const { entry, parts } of this.#random.shuffled(this.#late.splice(0))) {
      this.#append({ ...entry, receivedTime: this.now }, parts);
    }
  }

  control(emitter: string, change: ControlChange, content: Readonly<Record<string, Content>> = {}): RecordedEvent {
    return this.write({
      emitter,
      action: change.change,
      phase: 'outcome',
      outcome: 'success',
      actor: { principal: 'admin-1', kind: 'human' },
      control: change,
      content,
    });
  }

  #make({ emitter, content = {}, actor, ...draft }: Draft): { entry: Entry; parts: RecordedEvent['parts'] } {
    this.#nowMs += 1 + this.#random.below(400);
    const sequence = (this.#sequences.get(emitter) ?? 0) + 1;
    this.#sequences.set(emitter, sequence);
    const eventTime = new Date(this.#nowMs + (this.#skewsMs.get(emitter) ?? 0)).toISOString();
    const entry: Entry = {
      v: 1,
      instance: 'acme' as InstanceId,
      id: this.id(),
      correlationId: this.correlation(),
      spanId: this.span(),
      system: 'trailkeeper',
      retentionClass: 'operational',
      provenance: 'platform',
      ...draft,
      actor: { principal: actor.principal as PrincipalId, kind: actor.kind },
      emitter: { id: emitter, sequence },
      eventTime,
      receivedTime: this.now,
      parts: Object.keys(content).map((name) => ({ name, sizeBytes: 1, commitment: this.#random.hex(64) })),
    };
    const parts = Object.fromEntries(
      Object.entries(content).map(([name, value]) => [name, { state: 'present', content: value } as const]),
    );
    return { entry, parts };
  }

  #append(entry: Entry, parts: RecordedEvent['parts']): RecordedEvent {
    const event = { index: this.log.length, entry, ...(parts === undefined ? {} : { parts }) };
    this.log.push(event);
    return event;
  }
}

/** The state of every emitter after these entries arrived in the order of the log. */
export const emitterStatesOf = (log: readonly RecordedEvent[]): Map<string, EmitterState> => {
  const states = new Map<string, EmitterState>();
  for (const { entry } of log.toSorted((a, b) => a.index - b.index)) {
    const { id, sequence } = entry.emitter;
    states.set(id, observe(states.get(id) ?? emptyEmitter, sequence).state);
  }
  return states;
};
