/** From a thing in a target system to the runs that touched it. */
import { recordIdPattern, toFullId } from '../../domain/salesforceId.ts';
import type { CorrelationId } from '../../schema/ids.ts';
import type { SubjectRef } from '../../schema/event.ts';
import type { System } from '../../schema/taxonomy.ts';
import type { TrailReader } from '../../trail/reader.ts';
import { extentOf } from './query.ts';

/**
 * The id stands in the log as a pseudonym only, of which the kind is a part, and the data subject where it is about one.
 * So each kind that the index knows is tried, as a thing of nobody and as a thing that is itself a person. A Salesforce id
 * of 15 characters means the record whose longer id was recorded.
 */
export const correlate = async (
  reader: TrailReader,
  system: System,
  externalId: string,
  kind: string | null | undefined,
): Promise<{ correlationIds: CorrelationId[]; behind: number }> => {
  const { behind } = await extentOf(reader);
  const kinds = kind === null || kind === undefined ? await reader.kindsOf(system) : [kind];
  const id = system === 'salesforce' && recordIdPattern.test(externalId) ? toFullId(externalId) : externalId;
  const found: CorrelationId[] = [];
  for (const candidate of kinds) {
    const itself: SubjectRef = { system, kind: candidate, id };
    for (const subject of [undefined, itself])
      found.push(...(await reader.correlationsOf(system, candidate, id, subject)));
  }
  return { correlationIds: [...new Set(found)], behind };
};
