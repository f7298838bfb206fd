import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { configureWitnesses, witnessesView } from './operations/witnesses.ts';
import type { RequestContext } from './requestContext.ts';

export const witnessResolvers: Resolvers<RequestContext> = {
  Query: {
    witnesses: guarded('witnesses', async (_args, { instance, metrics }) => {
      metrics.countRead('checkpoint');
      const state = await instance.trail.witnessed.state();
      return state ? witnessesView(state) : null;
    }),
  },
  Mutation: {
    configureWitnesses: guarded('configureWitnesses', ({ input }, context) => configureWitnesses(context, input)),
  },
};
