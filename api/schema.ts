/** The executable schema: the `.graphql` files and one resolver file a capability. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GraphQLSchema } from 'graphql';
import { createSchema } from 'graphql-yoga';
import { accessResolvers } from './access.ts';
import { approvalResolvers } from './approvals.ts';
import { diagnosisResolvers } from './diagnosis.ts';
import { eventResolvers } from './event.ts';
import { ingestResolvers } from './ingest.ts';
import { proofResolvers } from './proofs.ts';
import type { RequestContext } from './requestContext.ts';
import { runResolvers } from './runs.ts';
import { scalars } from './scalars.ts';
import { timelineResolvers } from './timeline.ts';
import { trailResolvers } from './trail.ts';
import { versionResolvers } from './versions.ts';

const folder = join(import.meta.dirname, '..', 'schema');

const typeDefs = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.graphql'))
    .toSorted()
    .map((name) => readFileSync(join(folder, name), 'utf8'));

export const createApiSchema = (): GraphQLSchema =>
  createSchema<RequestContext>({
    typeDefs: typeDefs(),
    resolvers: [
      scalars,
      eventResolvers,
      trailResolvers,
      timelineResolvers,
      diagnosisResolvers,
      proofResolvers,
      runResolvers,
      approvalResolvers,
      ingestResolvers,
      accessResolvers,
      versionResolvers,
    ] as never,
  });
