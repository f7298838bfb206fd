/** The platform's own checks of the log. */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { showSelfVerification, startRepair, startSelfVerification } from './operations/verification.ts';
import type { RequestContext } from './requestContext.ts';

export const verificationResolvers: Resolvers<RequestContext> = {
  Query: {
    selfVerification: guarded('selfVerification', (_args, context) => {
      context.metrics.countRead('self-check');
      return showSelfVerification(context);
    }),
  },
  Mutation: {
    startSelfVerification: guarded('startSelfVerification', ({ kind }, context) =>
      startSelfVerification(context, kind),
    ),
    repairProjections: guarded('repairProjections', (_args, context) => startRepair(context)),
  },
};
