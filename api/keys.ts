/** The keys of the instance. */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { given } from './inputs.ts';
import { destroyKey, rotateKey, rotateMasterKey, showKeys } from './operations/keys.ts';
import type { RequestContext } from './requestContext.ts';

export const keyResolvers: Resolvers<RequestContext> = {
  Query: {
    keys: guarded('keys', (_args, context) => showKeys(context)),
  },
  Mutation: {
    rotateKey: guarded('rotateKey', ({ input }, context) => rotateKey(context, given(input))),
    rotateMasterKey: guarded('rotateMasterKey', (_args, context) => rotateMasterKey(context)),
    destroyKey: guarded('destroyKey', ({ epoch }, context) => destroyKey(context, epoch)),
  },
};
