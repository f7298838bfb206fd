/** What a witness states of a log, as the log records it: the same event for the same statement, so that it stands there once. */
import { createHash } from 'node:crypto';
import type { EventInput } from '../schema/event.ts';
import type { CorrelationId } from '../schema/ids.ts';
import { TrailError } from '../trail/errors.ts';
import { alertEvent, type WitnessAlert } from '../trail/witness/alerts.ts';
import type { KeptStatement } from '../trail/witness/statements.ts';
import type { LogWriter } from '../trail/writer.ts';
import { derivedEventId, derivedSpanId } from './derived-id.ts';

const statementEvent = (alert: WitnessAlert, { _id, at }: KeptStatement): EventInput => {
  const seed = `witness.contradict\n${_id}`;
  const id = derivedEventId(at.getTime(), seed);
  return {
    ...alertEvent(alert),
    id,
    correlationId: createHash('sha256').update(seed).digest('hex').slice(0, 32) as CorrelationId,
    spanId: derivedSpanId(seed),
    emitter: { id: `platform/witness/${id}`, sequence: 1 },
    eventTime: at.toISOString(),
  };
};

/**
 * Returns once it stands in the log, or can't any more (its time is before the horizon). Throws TrailError where it
 * can't be recorded now; the loop then tries again.
 */
export const recordStatement = async (
  writer: LogWriter,
  alert: WitnessAlert,
  statement: KeptStatement,
): Promise<void> => {
  const [result] = await writer.append([statementEvent(alert, statement)], 'platform');
  if (result?.status !== 'refused') return;
  const { code } = result.refusal;
  // The log has grown since it was recorded first, which is all that differs.
  if (code === 'ID_CONFLICT' || code === 'ID_TOO_OLD') return;
  throw new TrailError('LOG_INCONSISTENT', `what a witness stated was refused: ${code}`);
};
