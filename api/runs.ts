/** Runs and their guarded actions. */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { notFound } from './errors.ts';
import { guarded } from './guard.ts';
import { given } from './inputs.ts';
import { actionResults } from './operations/actionResults.ts';
import { action, performAction, settleAction } from './operations/actions.ts';
import { handOff } from './operations/handoffs.ts';
import { closeRun, openRun } from './operations/runs.ts';
import { isOwn } from './reads/ownOnly.ts';
import { findEvent } from './operations/query.ts';
import type { RequestContext } from './requestContext.ts';

export const runResolvers: Resolvers<RequestContext> = {
  Query: {
    action: guarded('action', async ({ id }, context) => {
      const { instance, caller, ownOnly, reads } = context;
      const { reader } = instance.trail;
      if (ownOnly && !(await isOwn(reader, await findEvent(reader, id), caller.principal))) throw notFound('action');
      reads.skeletons(1);
      return action(context, id);
    }),
  },
  Mutation: {
    openRun: guarded('openRun', ({ input }, context) => openRun(context, given(input))),
    performAction: guarded('performAction', ({ input }, context) => performAction(context, given(input))),
    settleAction: guarded('settleAction', ({ input }, context) => settleAction(context, input)),
    handOff: guarded('handOff', ({ input }, context) => handOff(context, given(input))),
    closeRun: guarded('closeRun', ({ input }, context) => closeRun(context, input)),
  },
  Action: {
    results: ({ id }, _args, context) => actionResults(context, id),
  },
};
