/**
 * What a caller that sees only its own doings may read: entries of which it is the actor, and the chains of runs that it
 * opened or acts in. An agent can report an event under any correlation id, so only entries that the platform vouches
 * for make a chain its own.
 */
import type { Filter } from 'mongodb';
import type { CorrelationId, PrincipalId } from '../../schema/ids.ts';
import type { IndexRow } from '../../trail/projection.ts';
import type { IndexedEvent, TrailReader } from '../../trail/reader.ts';

/** Of its own intents in a chain, among which one must be the platform's. */
const intentsMax = 100;

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
  if (opened.length > 0) return true;
  const intents = await reader.find({ corr: correlationId, phase: 'intent', principal }, { limit: intentsMax });
  return intents.some(({ entry }) => entry.provenance === 'platform');
};
