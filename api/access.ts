/** Containment: the kill flag of the instance. */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { resumeInstance, suspendInstance } from './operations/access.ts';
import type { RequestContext } from './requestContext.ts';

export const accessResolvers: Resolvers<RequestContext> = {
  Mutation: {
    suspendInstance: guarded('suspendInstance', ({ reason }, context) => suspendInstance(context, reason)),
    resumeInstance: guarded('resumeInstance', ({ reason }, context) => resumeInstance(context, reason)),
  },
};
