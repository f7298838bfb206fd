import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { given } from './inputs.ts';
import { publishVersion } from './operations/versions.ts';
import type { RequestContext } from './requestContext.ts';

export const versionResolvers: Resolvers<RequestContext> = {
  Mutation: {
    publishVersion: guarded('publishVersion', ({ input }, context) => publishVersion(context, given(input))),
  },
};
