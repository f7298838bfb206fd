/**
 * What a caller that sees only its own doings may read: entries of which it is the actor, and the chains of the runs
 * that the platform opened for it. An agent can report an event under any correlation id, so only `run.open`, which
 * nobody can report, makes a chain its own.
 */
import type { Filter } from 'mongodb';
import type { CorrelationId, PrincipalId } from '../../schema/ids.ts';
import type { IndexRow } from '../../trail/projection.ts';
import type { IndexedEvent, TrailReader } from '../../trail/reader.ts';

/** What rows of a list must be besides. */
export const confinement = (ownOnly: boolean, principal: PrincipalId): Filter<IndexRow> =>
  ownOnly ? { principal } : {};

export const isOwn = async (reader: TrailReader, event: IndexedEvent, principal: PrincipalId): Promise<boolean> =>
  event.entry.actor.principal === principal || isOwnChain(reader, event.entry.correlationId, principal);

export const isOwnChain = async (
  reader: TrailReader,
  correlationId: CorrelationId,
  principal: PrincipalId,
): Promise<boolean> => {
  const opened = await reader.find({ corr: correlationId, action: 'run.open', principal }, { limit: 1 });
  return opened.length > 0;
};
