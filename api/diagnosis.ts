import type { Diagnosis, Verdict } from '../domain/diagnosis/diagnose.ts';
import type { Cause, Citation, Finding } from '../domain/diagnosis/finding.ts';
import { renderDiagnosis, renderStatement, renderVerdict } from '../domain/diagnosis/render.ts';
import type { Statement } from '../domain/diagnosis/statement.ts';
import type { Cause as CauseName, Resolvers } from '../schema/generated/resolvers.ts';
import type { JsonObject } from '../schema/json.ts';
import { guarded } from './guard.ts';
import { diagnose } from './operations/diagnose.ts';
import type { RequestContext } from './requestContext.ts';

/** GraphQL names have no hyphens. */
const causeName = (cause: Cause): CauseName => (cause === 'service-account' ? 'service_account' : cause);

const citationsOf = ({ citations }: { readonly citations: readonly Citation[] }) => [...citations];

const asJson = (details: object): JsonObject => JSON.parse(JSON.stringify(details)) as JsonObject;

const verdictView = (verdict: Verdict) => ({
  state: verdict.state,
  causes: verdict.state === 'established' ? verdict.causes.map(causeName) : [],
  first: verdict.state === 'established' ? verdict.first.at : null,
  unknown: 'unknown' in verdict ? verdict.unknown.map(causeName) : [],
  why: verdict.state === 'undetermined' ? verdict.why : null,
  text: renderVerdict(verdict),
  citations: citationsOf(verdict),
});

const detailsOf = (finding: Finding): readonly object[] => {
  switch (finding.state) {
    case 'established':
      return finding.deviations;
    case 'excluded':
      return finding.basis;
    case 'unknown':
      return finding.reasons;
  }
  return finding satisfies never;
};

const findingView = (finding: Finding) => ({
  cause: causeName(finding.cause),
  state: finding.state,
  details: detailsOf(finding).map(asJson),
  citations: citationsOf(finding),
});

const statementView = (statement: Statement) => {
  const { kind, citations, ...details } = statement;
  return { kind, text: renderStatement(statement), details: asJson(details), citations: [...citations] };
};

const view = (diagnosis: Diagnosis) => ({
  verdict: verdictView(diagnosis.verdict),
  findings: diagnosis.findings.map(findingView),
  statements: diagnosis.statements.map(statementView),
  lines: renderDiagnosis(diagnosis),
});

export const diagnosisResolvers: Resolvers<RequestContext> = {
  Query: {
    diagnose: guarded('diagnose', async ({ correlationId }, { instance, payloads, reads, limits }) => {
      const { diagnosis, behind, entries } = await diagnose(instance.trail, payloads, correlationId, limits);
      reads.skeletons(entries);
      return { correlationId, ...view(diagnosis), behind };
    }),
  },
};
