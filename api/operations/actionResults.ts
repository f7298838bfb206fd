/** What the tool of an action returned: the payload of its outcomes, and of the objects that a read turned up. */
import { actionEmitter } from '../../domain/action/entryIds.ts';
import type { EventId } from '../../schema/ids.ts';
import type { Json, JsonObject } from '../../schema/json.ts';
import type { Caller, InstanceServices } from '../context.ts';
import type { IndexedEvent, MaySee } from '../../trail/reader.ts';
import type { PayloadLoader } from '../reads/payloadLoader.ts';
import { extentOf } from './query.ts';

/** Outcomes and found objects of one action that are looked at. */
const entriesMax = 5000;
const resultParts: ReadonlySet<string> = new Set(['response', 'found']);

/** One an answered call: `{response, found}`, each only where there is any. An agent sees those of its own actions. */
export const actionResults = async (
  { instance, caller, payloads }: { instance: InstanceServices; caller: Caller; payloads: PayloadLoader },
  id: EventId,
): Promise<JsonObject[]> => {
  const { reader } = instance.trail;
  await extentOf(reader);
  const entries = await reader.find(
    { emitter: actionEmitter(id), $or: [{ phase: 'outcome', outcome: 'success' }, { phase: 'observation' }] },
    { limit: entriesMax },
  );
  const holding = entries.filter(({ entry }) => entry.parts.some(({ name }) => resultParts.has(name)));
  const own: MaySee = ({ actor }, { name }) => actor.principal === caller.principal && resultParts.has(name);
  const opened = await payloads.open(holding, own);
  const found = Map.groupBy(opened, ({ entry }) => (entry.phase === 'observation' ? entry.batch?.parent : entry.id));
  return [...found.values()].map(resultOf);
};

const resultOf = (entries: readonly IndexedEvent[]): JsonObject => {
  const values = (part: string) =>
    entries.flatMap(({ parts }): Json[] => {
      const content = parts?.[part];
      return content?.state === 'present' ? [content.content] : [];
    });
  const [response] = values('response');
  const found = values('found');
  return { ...(response !== undefined && { response }), ...(found.length > 0 && { found }) };
};
