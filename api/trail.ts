/** Reading the record: events, one event, where a thing occurs, gaps, disclosure, and the live stream. */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { emitterGaps } from './operations/gaps.ts';
import { correlate } from './operations/correlate.ts';
import { disclose } from './operations/disclose.ts';
import { cursorOf, findEvent, findPage, type Page } from './operations/query.ts';
import { notFound } from './errors.ts';
import { guarded, guardedStream } from './guard.ts';
import { confinement, isOwn } from './reads/ownOnly.ts';
import type { RequestContext } from './requestContext.ts';
import { subscribeToEvents } from './subscriptions/events.ts';

const connection = ({ events, behind, hasNextPage, hasPreviousPage, startCursor, endCursor }: Page) => ({
  edges: events.map((node) => ({ cursor: cursorOf(node.index), node })),
  pageInfo: { hasNextPage, hasPreviousPage, startCursor, endCursor },
  behind,
});

export const trailResolvers: Resolvers<RequestContext> = {
  Query: {
    events: guarded('events', async (args, { instance, caller, ownOnly, reads, limits }) => {
      const { filter, ...page } = args;
      const confine = confinement(ownOnly, caller.principal);
      const found = await findPage(instance.trail.reader, filter, confine, page, limits);
      reads.skeletons(found.events.length);
      return connection(found);
    }),
    event: guarded('event', async ({ id }, { instance, caller, ownOnly, reads }) => {
      const { reader } = instance.trail;
      const event = await findEvent(reader, id);
      if (ownOnly && !(await isOwn(reader, event, caller.principal))) throw notFound('event');
      reads.skeletons(1);
      return event;
    }),
    correlate: guarded('correlate', async ({ system, externalId, kind }, { instance, reads }) => {
      const found = await correlate(instance.trail.reader, system, externalId, kind);
      reads.skeletons(found.correlationIds.length);
      return found;
    }),
    gaps: guarded('gaps', ({ emitter, first, after }, { instance, limits }) =>
      emitterGaps(instance.trail.reader, { emitter, first, after }, limits),
    ),
  },
  Mutation: {
    disclose: guarded('disclose', ({ event, part }, context) => disclose(context, event, part)),
  },
  Subscription: {
    events: guardedStream('events', subscribeToEvents),
  },
};
