import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { archiveState, configureArchive, continueLog } from './operations/archive.ts';
import type { RequestContext } from './requestContext.ts';

export const archiveResolvers: Resolvers<RequestContext> = {
  Query: {
    archive: guarded('archive', (_args, context) => archiveState(context)),
  },
  Mutation: {
    configureArchive: guarded('configureArchive', ({ input }, context) => configureArchive(context, input)),
    continueLog: guarded('continueLog', ({ input }, context) => continueLog(context, input)),
  },
};
