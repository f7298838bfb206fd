/** The keys of the instance. */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { given } from './inputs.ts';
import { destroyKey, rotateKey, showKeys } from './operations/keys.ts';
import type { RequestContext } from './requestContext.ts';

export const keyResolvers: Resolvers<RequestContext> = {
  Query: {
    keys: guarded('keys', (_args, context) => showKeys(context)),
  },
  Mutation: {
    rotateKey: guarded('rotateKey', ({ input }, context) => rotateKey(context, given(input))),
    destroyKey: guarded('destroyKey', ({ epoch }, context) => destroyKey(context, epoch)),
  },
};
