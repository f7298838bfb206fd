/** The executable schema: the `.graphql` files and one resolver file a capability. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { GraphQLScalarType, Kind, parse, type GraphQLSchema } from 'graphql';
import { createSchema } from 'graphql-yoga';
import { accessResolvers } from './access.ts';
import { approvalResolvers } from './approvals.ts';
import { diagnosisResolvers } from './diagnosis.ts';
import { eventResolvers } from './event.ts';
import { evidenceResolvers } from './evidence.ts';
import { ingestResolvers } from './ingest.ts';
import { instanceResolvers } from './instances.ts';
import { proofResolvers } from './proofs.ts';
import { archiveResolvers } from './archive.ts';
import type { RequestContext } from './requestContext.ts';
import { runResolvers } from './runs.ts';
import { scalars } from './scalars.ts';
import { timelineResolvers } from './timeline.ts';
import { toolResolvers } from './tools.ts';
import { trailResolvers } from './trail.ts';
import { keyResolvers } from './keys.ts';
import { verificationResolvers } from './verification.ts';
import { versionResolvers } from './versions.ts';
import { witnessResolvers } from './witnesses.ts';

const folder = join(import.meta.dirname, '..', 'schema');

const typeDefs = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.graphql'))
    .toSorted()
    .map((name) => readFileSync(join(folder, name), 'utf8'));

/** A scalar that is given as an object replaces what the `.graphql` file says of it, its description too. */
const describedScalars = (texts: readonly string[]): Record<string, GraphQLScalarType> => {
  const described = new Map<string, string | undefined>();
  for (const definition of parse(texts.join('\n')).definitions)
    if (definition.kind === Kind.SCALAR_TYPE_DEFINITION)
      described.set(definition.name.value, definition.description?.value);
  return Object.fromEntries(
    Object.entries(scalars).map(([name, scalar]) => [
      name,
      new GraphQLScalarType({ ...(scalar as GraphQLScalarType).toConfig(), description: described.get(name) }),
    ]),
  );
};

export const createApiSchema = (): GraphQLSchema => {
  const texts = typeDefs();
  return createSchema<RequestContext>({
    typeDefs: texts,
    resolvers: [
      describedScalars(texts),
      eventResolvers,
      trailResolvers,
      timelineResolvers,
      diagnosisResolvers,
      proofResolvers,
      evidenceResolvers,
      runResolvers,
      approvalResolvers,
      toolResolvers,
      ingestResolvers,
      accessResolvers,
      versionResolvers,
      archiveResolvers,
      keyResolvers,
      verificationResolvers,
      witnessResolvers,
      instanceResolvers,
    ] as never,
  });
};
