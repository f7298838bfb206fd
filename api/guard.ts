/**
 * What stands before every root field: permission by the instance's policies, and the note of what was asked, for the
 * record of reads. A root field without an operation of its name can't be built into the schema.
 */
import type { GraphQLResolveInfo } from 'graphql';
import type { Json } from '../schema/json.ts';
import type { Operation } from '../schema/operations.ts';
import { toApiError } from './errorMapping.ts';
import type { RequestContext } from './requestContext.ts';

export interface RootContext extends RequestContext {
  /** The caller may see only what it did itself. */
  readonly ownOnly: boolean;
}

type Resolve<A, R> = (args: A, context: RootContext, info: GraphQLResolveInfo) => R;

const plain = (value: object): Json => JSON.parse(JSON.stringify(value)) as Json;

/** What of the arguments is recorded with a read: conditions and ids. Never content, and no original ids. */
const recorded = (args: object, info: GraphQLResolveInfo): Json => {
  const given = args as Readonly<Record<string, unknown>> & { readonly input?: object };
  if (info.operation.operation === 'mutation') {
    // Taken out first: the arguments may hold a thousand events.
    const { id, runId, event, part }: Readonly<Record<string, unknown>> = { ...given, ...given.input };
    return plain({ id, runId, event, part });
  }
  const { externalId: _original, ...conditions } = given;
  return plain(conditions);
};

const admit = async (
  operation: Operation,
  args: object,
  context: RequestContext,
  info: GraphQLResolveInfo,
): Promise<RootContext> => {
  const { ownOnly } = await context.permissions.require(operation);
  context.reads.asked(info.fieldName, recorded(args, info));
  return { ...context, ownOnly };
};

/** A root field of Query or Mutation. */
export const guarded =
  <A extends object, R>(operation: Operation, resolve: Resolve<A, R | Promise<R>>) =>
  async (_root: unknown, args: A, context: RequestContext, info: GraphQLResolveInfo): Promise<R> => {
    const admitted = await admit(operation, args, context, info);
    try {
      return await resolve(args, admitted, info);
    } catch (error) {
      if (toApiError(error).code === 'NOT_FOUND') context.reads.missed(operation);
      throw error;
    }
  };

/** A root field of Subscription. */
export const guardedStream = <A extends object, R>(
  operation: Operation,
  subscribe: Resolve<A, Promise<AsyncIterable<R>>>,
) => ({
  subscribe: async (_root: unknown, args: A, context: RequestContext, info: GraphQLResolveInfo) =>
    subscribe(args, await admit(operation, args, context, info), info),
  resolve: (value: R): R => value,
});
