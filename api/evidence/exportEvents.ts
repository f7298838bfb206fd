/**
 * What the log says of an export, under an emitter of its own, in this order and each at most once:
 *   1 `intent`: it was asked for, by whom, of what;
 *   2 `attempt`: it is being fetched: nothing leaves before this stands in the log;
 *   3 `outcome`: the pack was made, with counts and the digest of its manifest: the manifest leaves only after this, so
 *     that whoever has a whole pack finds it in the log; or it was not made, and why;
 *   4 `verified`: all of it was handed over, or the connection broke at its end.
 * Where a process dies, the number after the last one is missing, and no whole pack left.
 */
import type { EventInput } from '../../schema/event.ts';
import type { CorrelationId, EventId, SpanId } from '../../schema/ids.ts';
import type { Caller } from '../context.ts';

export const exportEmitter = (id: EventId): string => `platform/evidence/${id}`;

type Sequence = 1 | 2 | 3 | 4;

export interface ExportEventFields {
  readonly id: EventId;
  readonly spanId: SpanId;
  readonly sequence: Sequence;
  readonly eventTime: Date;
  readonly phase: 'intent' | 'attempt' | 'outcome' | 'verified';
  readonly outcome?: 'success' | 'failure';
  readonly error?: 'CANCELLED' | 'UNAVAILABLE' | 'INTERNAL';
  readonly count?: number;
  /** Digest of the manifest, hex. */
  readonly digest?: string;
  readonly part?: NonNullable<EventInput['parts']>[number];
}

export const exportEvent = (caller: Caller, exportId: EventId, fields: ExportEventFields): EventInput => {
  const { id, spanId, sequence, eventTime, phase, outcome, error, count, digest, part } = fields;
  return {
    id,
    // Not the chain that is exported: a look at it must not change it.
    correlationId: exportId.replaceAll('-', '') as CorrelationId,
    spanId,
    ...(id !== exportId && { causedBy: exportId }),
    emitter: { id: exportEmitter(exportId), sequence },
    eventTime: eventTime.toISOString(),
    actor: { principal: caller.principal, kind: caller.kind },
    action: 'evidence.export',
    phase,
    ...(outcome && { outcome }),
    system: 'trailkeeper',
    ...(error && { error: { code: error } }),
    ...(count !== undefined && { count }),
    ...(digest !== undefined && { parametersDigest: digest }),
    ...(part && { parts: [part] }),
  };
};
