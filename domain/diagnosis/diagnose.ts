/**
 * What went wrong, and who did it: from the record alone. Four stages of the chain are compared with their references
 * in the record; docs/diagnosis.md states which entries establish or exclude each cause, and what can't be told.
 */
import { accountOf } from './account.ts';
import { arrange, type DiagnosisInput, type Evidence } from './evidence.ts';
import {
  causes,
  findingOf,
  uniqueCitations,
  type Cause,
  type Citation,
  type Finding,
  type StageResult,
} from './finding.ts';
import { integrationStage } from './integrationStage.ts';
import { policyStage } from './policyStage.ts';
import { promptStage } from './promptStage.ts';
import { serviceAccountStage } from './serviceAccountStage.ts';
import type { Statement } from './statement.ts';

export type Verdict =
  /** `causes` in the order in which the chain left its references; `first` is where it did so first. */
  | {
      readonly state: 'established';
      readonly causes: readonly Cause[];
      readonly first: { readonly cause: Cause; readonly at: Citation };
      readonly unknown: readonly Cause[];
      readonly citations: readonly Citation[];
    }
  /** Every stage conforms: the approved prompt itself or the source data remain, and the record can't tell these apart. */
  | { readonly state: 'undetermined'; readonly why: 'no-deviation'; readonly citations: readonly Citation[] }
  /** Something that would decide is missing; the findings of `unknown` say what. */
  | {
      readonly state: 'undetermined';
      readonly why: 'evidence-missing' | 'record-not-intact';
      readonly unknown: readonly Cause[];
      readonly citations: readonly Citation[];
    };

export interface Diagnosis {
  readonly verdict: Verdict;
  /** One per cause, in the order of `causes`. */
  readonly findings: readonly Finding[];
  readonly statements: readonly Statement[];
}

const stages: Readonly<Record<Cause, (evidence: Evidence) => StageResult>> = {
  prompt: promptStage,
  integration: integrationStage,
  policy: policyStage,
  'service-account': serviceAccountStage,
};

/** Pure: the same diagnosis for the same entries in whatever order they come. */
export const diagnose = (input: DiagnosisInput): Diagnosis => {
  const evidence = arrange(input);
  const place = ({ id }: Citation): number => evidence.position.get(id) ?? Infinity;
  const findings = causes.map((cause): Finding => {
    if (evidence.untrusted.length > 0) {
      const citations = uniqueCitations(evidence.untrusted.flatMap((reason) => reason.citations));
      return { cause, state: 'unknown', reasons: evidence.untrusted, citations };
    }
    return findingOf(cause, stages[cause](evidence), evidence.incomplete, place);
  });
  return { verdict: verdictOf(findings, evidence, place), findings, statements: accountOf(evidence, input.integrity) };
};

const verdictOf = (
  findings: readonly Finding[],
  { untrusted }: Evidence,
  place: (citation: Citation) => number,
): Verdict => {
  const unknown = findings.filter(({ state }) => state === 'unknown').map(({ cause }) => cause);
  const points = findings
    .flatMap((finding) =>
      finding.state === 'established' ? finding.deviations.map(({ at }) => ({ cause: finding.cause, at })) : [],
    )
    .toSorted((a, b) => place(a.at) - place(b.at));
  const first = points[0];
  if (first !== undefined) {
    const established = findings.filter(({ state }) => state === 'established');
    return {
      state: 'established',
      causes: [...new Set(points.map(({ cause }) => cause))],
      first,
      unknown,
      citations: uniqueCitations(established.flatMap(({ citations }) => citations)),
    };
  }
  const citations = uniqueCitations(findings.flatMap((finding) => finding.citations));
  if (unknown.length === 0) return { state: 'undetermined', why: 'no-deviation', citations };
  const altered = untrusted.some(({ kind }) => kind === 'record-not-intact');
  return { state: 'undetermined', why: altered ? 'record-not-intact' : 'evidence-missing', unknown, citations };
};
