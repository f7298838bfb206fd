/** Control entries that have no effect: each is recorded as void in the same log, and raises an alarm. */
import type { Entry, EventInput } from '../schema/event.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import { TrailError } from '../trail/errors.ts';
import type { LogWriter } from '../trail/writer.ts';
import type { VoidReason } from './change.ts';
import { derivedEventId, derivedSpanId } from './derived-id.ts';

export interface VoidedEntry {
  readonly instance: InstanceId;
  readonly index: number;
  readonly entry: Entry;
  readonly reason: VoidReason;
}

export interface VoidRecording {
  readonly writerOf: (instance: InstanceId) => Promise<LogWriter>;
  /** Told after the void was recorded; perhaps twice after a crash. Must not throw. */
  readonly alarm: (voided: VoidedEntry) => void;
}

/** For `createControlTail`. Throws where the void can't be recorded; the applier then tries again. */
export const recordVoids =
  ({ writerOf, alarm }: VoidRecording) =>
  async (voided: VoidedEntry): Promise<void> => {
    const writer = await writerOf(voided.instance);
    const [result] = await writer.append([voidEvent(voided)], 'platform');
    if (result?.status === 'refused')
      throw new TrailError('LOG_INCONSISTENT', `the void of entry ${voided.index} was refused: ${result.refusal.code}`);
    alarm(voided);
  };

/**
 * The same event each time, so that it stands in the log once. Its event time is when the log received the void entry:
 * from then on it has no effect. Its received time says when that was found.
 */
export const voidEvent = ({ index, entry, reason }: VoidedEntry): EventInput => {
  const seed = `control.void\n${entry.instance}\n${index}\n${entry.id}`;
  const id = derivedEventId(Date.parse(entry.receivedTime), seed);
  return {
    id,
    correlationId: entry.correlationId,
    spanId: derivedSpanId(seed),
    parentSpanId: entry.spanId,
    causedBy: entry.id,
    emitter: { id: `platform/control/${id}`, sequence: 1 },
    eventTime: entry.receivedTime,
    actor: { principal: 'platform' as PrincipalId, kind: 'platform' },
    action: 'control.void',
    phase: 'outcome',
    outcome: 'failure',
    system: 'trailkeeper',
    error: { code: reason.code },
    parts: [{ name: 'reason', content: { code: reason.code, message: reason.message } }],
  };
};
