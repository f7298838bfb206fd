import type { BulkSummary } from '../domain/timeline/bulk.ts';
import type { TimelineProblem } from '../domain/timeline/timeline.ts';
import type { Resolvers } from '../schema/generated/resolvers.ts';
import type { JsonObject } from '../schema/json.ts';
import type { ErrorCode, Outcome } from '../schema/taxonomy.ts';
import { notFound } from './errors.ts';
import { guarded } from './guard.ts';
import { rangeOf } from './operations/gaps.ts';
import { findChain, timelineOf } from './operations/timeline.ts';
import { isOwnChain } from './reads/ownOnly.ts';
import type { RequestContext } from './requestContext.ts';

const bulkView = ({ size, present, absent, outcomes, errors }: BulkSummary) => ({
  size,
  present,
  absent: absent.map(rangeOf),
  outcomes: Object.entries(outcomes).map(([outcome, count]) => ({ outcome: outcome as Outcome, count })),
  errors: Object.entries(errors).map(([code, count]) => ({ code: code as ErrorCode, count })),
});

const problemView = ({ kind, ...details }: TimelineProblem) => ({ kind, details: details as JsonObject });

export const timelineResolvers: Resolvers<RequestContext> = {
  Query: {
    timeline: guarded('timeline', async ({ correlationId, folded }, { instance, caller, ownOnly, reads, limits }) => {
      const { reader } = instance.trail;
      const chain = await findChain(reader, correlationId, limits.chainEventsMax);
      if (ownOnly && !(await isOwnChain(reader, correlationId, caller.principal))) throw notFound('correlation id');
      reads.skeletons(chain.events.length);
      const { rows, emitters, problems } = timelineOf(chain, folded ?? false);
      return {
        correlationId,
        rows: rows.map((row) => ({ ...row, bulk: row.bulk && bulkView(row.bulk), flags: [...row.flags] })),
        emitters: [...emitters],
        problems: problems.map(problemView),
        truncated: chain.truncated,
        behind: chain.behind,
      };
    }),
  },
};
