/**
 * The `events` subscription: what is appended from now on, or from a cursor on. Recorded when it opens and when it
 * closes; where the opening can't be recorded, it does not open.
 */
import type { GraphQLResolveInfo } from 'graphql';
import type { EventFilter } from '../../schema/generated/resolvers.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import type { RootContext } from '../guard.ts';
import { cursorOf, filterOf, indexOfCursor } from '../operations/query.ts';
import { seeNothing } from '../reads/maySee.ts';
import { confinement } from '../reads/ownOnly.ts';
import { follow } from './follow.ts';
import { selectsPayload } from './selection.ts';

export interface StreamedEvent {
  readonly cursor: string;
  readonly node: IndexedEvent;
}

export interface EventsArguments {
  readonly filter?: EventFilter | null | undefined;
  readonly after?: string | null | undefined;
}

export const subscribeToEvents = async (
  { filter, after }: EventsArguments,
  context: RootContext,
  info: GraphQLResolveInfo,
): Promise<AsyncIterable<StreamedEvent>> => {
  const { instance, caller, ownOnly, reads, subscriptions } = context;
  const { reader } = instance.trail;
  const from = after === undefined || after === null ? await reader.size() : indexOfCursor(after) + 1;
  const conditions = { $and: [filterOf(filter), confinement(ownOnly, caller.principal)] };
  const payloads = selectsPayload(info) && (await context.maySee()) !== seeNothing;
  const release = subscriptions.take(caller);
  try {
    await reads.opened(payloads);
  } catch (error) {
    release();
    throw error;
  }
  const ended = AbortSignal.any([context.signal, context.stopping]);
  return stream(context, follow(reader, conditions, from, ended), payloads, release);
};

async function* stream(
  { reads, payloads: loader }: RootContext,
  events: AsyncIterable<IndexedEvent>,
  payloads: boolean,
  release: () => void,
): AsyncGenerator<StreamedEvent, void, undefined> {
  try {
    for await (const node of events) {
      loader.clear();
      reads.skeletons(1);
      yield { cursor: cursorOf(node.index), node };
    }
  } finally {
    await reads.closed(payloads).finally(release);
  }
}
