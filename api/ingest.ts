import type { Resolvers } from '../schema/generated/resolvers.ts';
import { ApiError } from './errors.ts';
import { guarded } from './guard.ts';
import { recordEvents } from './operations/events.ts';
import type { RequestContext } from './requestContext.ts';

export const ingestResolvers: Resolvers<RequestContext> = {
  Mutation: {
    recordEvents: guarded('recordEvents', async ({ events }, context) => {
      const { recordBatchMax } = context.limits;
      if (events.length > recordBatchMax)
        throw new ApiError('BATCH_TOO_LARGE', `a call takes ${recordBatchMax} events at most, not ${events.length}`);
      return recordEvents(context, events);
    }),
  },
};
