/** What the log says of its own archive: that it lags too far behind, and that it does no more. */
import type { CorrelationId, PrincipalId } from '../schema/ids.ts';
import type { EventInput } from '../schema/event.ts';
import { TrailError } from '../trail/errors.ts';
import type { LagReport } from '../trail/tails/archive-tail.ts';
import type { LogWriter } from '../trail/writer.ts';
import { createHash } from 'node:crypto';
import { derivedEventId, derivedSpanId } from './derived-id.ts';

/** The same event for the same report, so that it stands in the log once. `receivedMs`: of the first entry that lags. */
export const lagEvent = (report: LagReport, atMs: number): EventInput => {
  const { state, instance, index } = report;
  const episode = `archive.lag\n${instance}\n${index}`;
  const seed = `${episode}\n${state}`;
  const id = derivedEventId(atMs, seed);
  return {
    id,
    // Both ends of an episode are under one correlation id.
    correlationId: createHash('sha256').update(episode).digest('hex').slice(0, 32) as CorrelationId,
    spanId: derivedSpanId(seed),
    emitter: { id: `platform/archive/${id}`, sequence: 1 },
    eventTime: new Date(atMs).toISOString(),
    actor: { principal: 'platform' as PrincipalId, kind: 'platform' },
    action: 'archive.lag',
    phase: 'outcome',
    system: 'trailkeeper',
    parts: [{ name: 'lag', content: { index, state } }],
    ...(state === 'behind' ? { outcome: 'failure', error: { code: 'UNAVAILABLE' } } : { outcome: 'success' }),
  };
};

/** Throws where it can't be recorded; the tail then reports it again. */
export const recordLag = async (writer: LogWriter, report: LagReport): Promise<void> => {
  const [result] = await writer.append([lagEvent(report, report.sinceMs)], 'platform');
  if (result?.status === 'refused' && result.refusal.code !== 'ID_CONFLICT')
    throw new TrailError('LOG_INCONSISTENT', `the alarm of the archive was refused: ${result.refusal.code}`);
};
