/** Instances, for operators of the platform. */
import type { Resolvers } from '../schema/generated/resolvers.ts';
import { guarded } from './guard.ts';
import { given } from './inputs.ts';
import { createInstance, instances } from './operations/instances.ts';
import { probeIsolation } from './operations/isolation.ts';
import type { RequestContext } from './requestContext.ts';

/** Under the scheme of the API: an origin has none. */
const logUrlOf = (publicUrl: string, origin: string): string => `${new URL(publicUrl).protocol}//${origin}`;

export const instanceResolvers: Resolvers<RequestContext> = {
  Query: {
    instances: guarded('instances', async ({ first, after }, context) => {
      const page = await instances(context, { first: first ?? 100, after });
      return {
        next: page.next,
        instances: page.instances.map(({ instance, origin, created }) => ({
          instance,
          origin,
          created: created.toISOString(),
          logUrl: logUrlOf(context.publicUrl, origin),
        })),
      };
    }),
  },
  Mutation: {
    createInstance: guarded('createInstance', async ({ input }, context) => {
      const view = await createInstance(context, given(input));
      const { error = null, origin = null, vkey = null, checkpoint = null } = view;
      const logUrl = origin === null ? null : logUrlOf(context.publicUrl, origin);
      return { ...view, error, origin, vkey, checkpoint, logUrl };
    }),
    probeIsolation: guarded('probeIsolation', async ({ input }, context) => {
      const view = await probeIsolation(context, given(input));
      const { event = null, index = null, reportDigest = null } = view;
      return { ...view, breaches: [...view.breaches], unable: [...view.unable], event, index, reportDigest };
    }),
  },
};
