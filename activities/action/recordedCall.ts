/** What stands in the log about a call, put together again for whoever goes on from there: values before, and results. */
import type { EventId } from '../../schema/ids.ts';
import { seeAll, type IndexedEvent } from '../../trail/reader.ts';
import type { CallResult, ItemResult, Json, Step } from '../connectors/connector.ts';
import type { ActionInstance } from './deps.ts';
import { memberCount, memberId } from './entries.ts';

/** Where anything needed was erased, there is nothing to go on with. */
export type Recorded<T> = T | 'erased';

/** The call's own entry, or those of its objects by position. */
const entriesOf = (
  entries: readonly IndexedEvent[],
  call: EventId,
  step: Step<unknown>,
): (IndexedEvent | undefined)[] => {
  const byId = new Map(entries.map((event) => [event.entry.id, event]));
  const members = memberCount(step.items);
  if (members === 0) return [byId.get(call)];
  return step.items.map((_item, position) => byId.get(memberId(call, position)));
};

const partOf = (event: IndexedEvent | undefined, name: string): Recorded<Json | undefined> => {
  const part = event?.parts?.[name];
  if (part === undefined) return undefined;
  return part.state === 'present' ? part.content : 'erased';
};

/** Values before the call, one per item; `entries`: those of the action's emitter. */
export const valuesBefore = async (
  { trail }: ActionInstance,
  entries: readonly IndexedEvent[],
  attempt: EventId,
  step: Step<unknown>,
): Promise<Recorded<readonly (Json | null)[]>> => {
  const own = entriesOf(entries, attempt, step).filter((event) => event !== undefined);
  const open = await trail.reader.withParts(own, (_entry, { name }) => name === 'before');
  const values = open.map((event) => partOf(event, 'before'));
  if (values.includes('erased')) return 'erased';
  return step.items.map((_item, position) => (values[position] as Json | undefined) ?? null);
};

/** The call's result as its outcome entries tell it. */
export const resultOf = async (
  { trail }: ActionInstance,
  entries: readonly IndexedEvent[],
  outcome: EventId,
  step: Step<unknown>,
): Promise<Recorded<CallResult>> => {
  const call = entries.find(({ entry }) => entry.id === outcome);
  const own = entriesOf(entries, outcome, step);
  const wanted = [...new Set([...own, call])].filter((event) => event !== undefined);
  const open = new Map((await trail.reader.withParts(wanted, seeAll)).map((event) => [event.entry.id, event]));
  const items: ItemResult[] = [];
  for (const [position, item] of step.items.entries()) {
    const event = open.get(own[memberCount(step.items) === 0 ? 0 : position]?.entry.id ?? ('' as EventId));
    const after = partOf(event, 'after');
    const originals = event?.entry.resource && originalOf(event);
    if (after === 'erased' || originals === 'erased') return 'erased';
    const id = originals ?? item.target?.id;
    const kind = event?.entry.resource?.kind ?? item.target?.kind;
    const success = event?.entry.outcome === 'success';
    items.push({
      outcome: success ? 'success' : 'failure',
      ...(id !== undefined && kind !== undefined && { target: { ...item.target, kind, id } }),
      ...(after !== undefined && { after }),
      ...(!success && { error: { code: event?.entry.error?.code ?? 'INTERNAL' } }),
    });
  }
  const response = partOf(call && open.get(call.entry.id), 'response');
  return { items, ...(response !== undefined && response !== 'erased' && { response }) };
};

/** The original id of the entry's resource, which stands in one of its `originals` parts. */
const originalOf = (event: IndexedEvent): Recorded<string | undefined> => {
  for (const [name, part] of Object.entries(event.parts ?? {})) {
    if (!name.startsWith('originals')) continue;
    if (part.state !== 'present') return 'erased';
    const { content } = part;
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) {
      const id = content['resource'];
      if (typeof id === 'string') return id;
    }
  }
  return undefined;
};
