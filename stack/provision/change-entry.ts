/** Control entries that a repetition makes again, so that the log keeps one of each. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ControlChange } from '../../schema/control.ts';
import { platformEvent, type EventInput } from '../../schema/event.ts';
import type { CorrelationId, InstanceId } from '../../schema/ids.ts';
import { derivedEventId, derivedSpanId } from '../../store/derived-id.ts';

export const dayMs = 86_400_000;

export interface WantedChange {
  readonly change: ControlChange;
  readonly part?: { readonly name: string; readonly content: unknown };
  /**
   * Stands for the part in what the id is derived from, where the part holds personal data: from the id, a digest that
   * anybody can see, such a part could be guessed.
   */
  readonly partKey?: string;
  /** Log index of the entry whose effect this replaces; absent where there was nothing before. */
  readonly replaces?: number;
}

/** A setting-up that is repeated on the same day makes the same ids; on a later day the state shows what was done. */
export const dayOf = (nowMs: number): number => Math.floor(nowMs / dayMs) * dayMs;

/**
 * The id comes from what is changed, from what it replaces (so that going back to an earlier setting is a new entry) and
 * from the day. Each entry is an emitter of its own.
 */
export const changeEntry = (instance: InstanceId, wanted: WantedChange, nowMs: number): EventInput => {
  const { change, part, partKey, replaces } = wanted;
  const seed = `provision\n${instance}\n${canonicalize([change, partKey ?? part ?? null, replaces ?? null])}`;
  const id = derivedEventId(dayOf(nowMs), seed);
  return platformEvent.parse({
    id,
    correlationId: correlationOf(instance),
    spanId: derivedSpanId(seed),
    emitter: { id: `platform/provision/${id}`, sequence: 1 },
    eventTime: new Date(nowMs).toISOString(),
    actor: { principal: 'platform', kind: 'platform' },
    action: change.change,
    phase: 'outcome',
    outcome: 'success',
    system: 'trailkeeper',
    control: change,
    ...(part !== undefined && { parts: [part] }),
  });
};

/** All of an instance's setting-up belongs together. */
const correlationOf = (instance: InstanceId): CorrelationId =>
  createHash('sha256').update(`provision\n${instance}`).digest('hex').slice(0, 32) as CorrelationId;
