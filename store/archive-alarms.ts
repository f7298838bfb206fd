/** What the log says of its own archive: that it lags too far behind, and that it does no more. */
import type { CorrelationId, PrincipalId } from '../schema/ids.ts';
import type { EventInput } from '../schema/event.ts';
import { TrailError } from '../trail/errors.ts';
import type { LagReport } from '../trail/tails/archive-tail.ts';
import type { LogWriter } from '../trail/writer.ts';
import { createHash } from 'node:crypto';
import { derivedEventId, derivedSpanId } from './derived-id.ts';

/** The same event for the same report and `idMs`, the time in its id, so that it stands in the log once. */
export const lagEvent = (report: LagReport, idMs: number): EventInput => {
  const { state, instance, index } = report;
  const episode = `archive.lag\n${instance}\n${index}`;
  const seed = `${episode}\n${state}`;
  const id = derivedEventId(idMs, seed);
  return {
    id,
    // Both ends of an episode are under one correlation id.
    correlationId: createHash('sha256').update(episode).digest('hex').slice(0, 32) as CorrelationId,
    spanId: derivedSpanId(seed),
    emitter: { id: `platform/archive/${id}`, sequence: 1 },
    eventTime: new Date(report.sinceMs).toISOString(),
    actor: { principal: 'platform' as PrincipalId, kind: 'platform' },
    action: 'archive.lag',
    phase: 'outcome',
    system: 'trailkeeper',
    parts: [{ name: 'lag', content: { index, state } }],
    ...(state === 'behind' ? { outcome: 'failure', error: { code: 'UNAVAILABLE' } } : { outcome: 'success' }),
  };
};

const dayMs = 86_400_000;

/**
 * Throws where it can't be recorded; the tail then reports it again. A lag that began before the log's horizon, which is
 * no shorter than a day, is recorded under an id of today: after a crash in between at midnight it stands there twice.
 */
export const recordLag = async (writer: LogWriter, report: LagReport, nowMs: number): Promise<void> => {
  let refusal = await refusalOf(writer, lagEvent(report, report.sinceMs));
  if (refusal === 'ID_TOO_OLD') refusal = await refusalOf(writer, lagEvent(report, Math.floor(nowMs / dayMs) * dayMs));
  if (refusal !== undefined && refusal !== 'ID_CONFLICT')
    throw new TrailError('LOG_INCONSISTENT', `the alarm of the archive was refused: ${refusal}`);
};

const refusalOf = async (writer: LogWriter, event: EventInput): Promise<string | undefined> => {
  const [result] = await writer.append([event], 'platform');
  return result?.status === 'refused' ? result.refusal.code : undefined;
};
