import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { given } from './inputs.ts';
import { decideAction } from './operations/approvals.ts';
import type { RequestContext } from './requestContext.ts';

export const approvalResolvers: Resolvers<RequestContext> = {
  Mutation: {
    decideAction: guarded('decideAction', ({ input }, context) => decideAction(context, given(input))),
  },
};
