/** Finds a guarded action by its intent in the log. */
import { actionEmitter } from '../../domain/action/entryIds.ts';
import type { EventId } from '../../schema/ids.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import { notFound } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { absent, extentOf } from './query.ts';

/** Throws NOT_FOUND, for another instance's actions as for absent ones. */
export const findIntent = async ({ instance }: OperationContext, id: EventId): Promise<IndexedEvent> => {
  const { reader } = instance.trail;
  let found = await reader.byId(id);
  if (!found) {
    const extent = await extentOf(reader);
    found = await reader.byId(id);
    if (!found) throw absent('action', extent);
  }
  const { entry } = found;
  if (entry.provenance !== 'platform' || entry.phase !== 'intent' || entry.emitter.id !== actionEmitter(id))
    throw notFound('action');
  return found;
};
