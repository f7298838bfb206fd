import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import type { RequestContext } from './requestContext.ts';

export const toolResolvers: Resolvers<RequestContext> = {
  Query: {
    tools: guarded('tools', (_args, { services }) => services.tools.list()),
  },
};
