/** Evidence packs: asked for here, fetched at a door of their own (doors/evidenceDoor.ts). */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { askForEvidence } from './evidence/asking.ts';
import { guarded } from './guard.ts';
import { given } from './inputs.ts';
import type { RequestContext } from './requestContext.ts';

export const evidenceResolvers: Resolvers<RequestContext> = {
  Mutation: {
    exportEvidence: guarded('exportEvidence', ({ input }, context) =>
      askForEvidence(context, given(input), {
        ownOnly: context.ownOnly,
        publicUrl: context.publicUrl,
        entriesMax: context.limits.evidenceEntriesMax,
      }),
    ),
  },
};
