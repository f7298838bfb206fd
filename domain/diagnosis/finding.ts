/**
 * What a diagnosis says of the four stages of the chain. Every finding names the entries that it rests on, by role:
 * take away all entries of one role, and the finding becomes `unknown`, never another one (docs/diagnosis.md).
 */
import type { RecordedEvent } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import type { Action, ErrorCode, System } from '../../schema/taxonomy.ts';
import type { MissingReason } from '../completeness.ts';
import type { SequenceRange } from '../emitters.ts';
import type { MappingDifference } from '../mapping.ts';

export interface Citation {
  readonly index: number;
  readonly id: EventId;
}

export const cite = ({ index, entry }: RecordedEvent): Citation => ({ index, id: entry.id });

export const causes = ['prompt', 'integration', 'policy', 'service-account'] as const;
export type Cause = (typeof causes)[number];

/** What a cited entry contributes to a finding. */
export type BasisRole =
  | 'run-opened' // when the run began, and what it declared
  | 'prompt-in-force'
  | 'prompt-run'
  | 'mapping-in-force'
  | 'mapping-used' // the publication of the mapping that was used
  | 'intent'
  | 'attempt'
  | 'outcome'
  | 'read-back'
  | 'decision'
  | 'declaration'
  | 'delegation'
  | 'credential-configured'
  | 'credential-disabled'
  | 'principal-disabled'
  | 'observation';

export interface Basis {
  readonly role: BasisRole;
  readonly citations: readonly Citation[];
}

/** One way in which a stage left its reference. */
export type Deviation = DeviationDetail & {
  readonly basis: readonly Basis[];
  /** Where the chain left its reference. */
  readonly at: Citation;
};

export type DeviationDetail =
  | {
      readonly kind: 'other-prompt-ran';
      readonly agent: string;
      readonly ran: string;
      readonly inForce: { readonly name: string; readonly version: string; readonly digest: string };
      /** Where what ran was published too: an outdated prompt, not an unknown one. */
      readonly publishedAs: { readonly name: string; readonly version: string } | null;
    }
  | {
      readonly kind: 'mapping-outdated';
      readonly system: System;
      readonly mapping: string;
      readonly used: string;
      readonly inForce: string;
      /** Calls that were tried again count no objects. */
      readonly objects: number;
      /** Written fields that the mapping in force sends elsewhere; null where that can't be read. */
      readonly misdirected: readonly MappingDifference[] | null;
    }
  | {
      readonly kind: 'sent-not-as-mapped';
      readonly system: System;
      readonly mapping: string;
      readonly objects: number;
      /** Vendor fields that were sent with another value than asked for, or not, or without being asked for. */
      readonly fields: readonly string[];
    }
  | { readonly kind: 'read-back-differs'; readonly system: System; readonly action: Action; readonly objects: number }
  | {
      readonly kind: 'declared-scope-exceeded';
      readonly agent: string;
      readonly system: System;
      readonly action: Action;
      readonly policy: PolicyReference;
    }
  | {
      readonly kind: 'delegation-exceeded';
      readonly why: 'scope' | 'expired' | 'revoked' | 'other-parties';
      readonly delegation: string;
      readonly agent: string;
      readonly user: string;
      readonly system: System;
      readonly action: Action;
      readonly policy: PolicyReference;
    }
  | {
      readonly kind: 'disabled-principal-allowed';
      readonly agent: string;
      readonly system: System;
      readonly action: Action;
      readonly policy: PolicyReference;
    }
  | {
      readonly kind: 'credential-misused';
      readonly why: 'foreign-principal' | 'superseded' | 'disabled';
      readonly system: System;
      readonly credential: string;
      readonly principal: string;
    }
  | {
      readonly kind: 'effect-without-intent';
      readonly system: System;
      readonly action: Action;
      readonly credential: string;
    };

export interface PolicyReference {
  readonly policySet: string;
  readonly version: number;
  readonly policies: readonly string[];
}

/** Why a stage can't be decided. */
export type UnknownReason =
  | { readonly kind: 'record-not-intact'; readonly detail: string; readonly citations: readonly Citation[] }
  | {
      readonly kind: 'control-incomplete';
      readonly emitter: string;
      readonly ranges: readonly SequenceRange[];
      readonly citations: readonly Citation[];
    }
  | { readonly kind: 'run-incomplete'; readonly missing: MissingReason; readonly citations: readonly Citation[] }
  /** An entry that would decide is not in the record. `about`: what or whom it would be about. */
  | {
      readonly kind: 'entry-missing';
      readonly entry: MissingEntry;
      readonly about: string;
      readonly citations: readonly Citation[];
    }
  /** The entry is there and leaves out what would decide. */
  | {
      readonly kind: 'not-stated';
      readonly what: UnstatedFact;
      readonly about: string;
      readonly citations: readonly Citation[];
    }
  | {
      readonly kind: 'content-unreadable';
      readonly part: string;
      readonly why: 'erased' | 'withheld' | 'malformed';
      readonly citations: readonly Citation[];
    }
  /** Only the agent's own runtime says so, which can't clear the agent. */
  | { readonly kind: 'only-reported'; readonly citations: readonly Citation[] }
  /** An effect that the agent reported and the platform neither decided nor carried out. */
  | { readonly kind: 'unguarded-effect'; readonly citations: readonly Citation[] }
  | { readonly kind: 'several-in-force'; readonly about: string; readonly citations: readonly Citation[] }
  /** A write failed in a way that may be the integration's own doing. */
  | { readonly kind: 'write-failed'; readonly code: ErrorCode | null; readonly citations: readonly Citation[] }
  /** Vendor fields were sent that neither the request nor the mapping accounts for. */
  | { readonly kind: 'surplus-fields'; readonly fields: readonly string[]; readonly citations: readonly Citation[] }
  /** Attempted although the decision that it rests on does not allow it. */
  | { readonly kind: 'attempt-without-permission'; readonly citations: readonly Citation[] }
  | { readonly kind: 'no-effect'; readonly citations: readonly Citation[] };

export type MissingEntry =
  | 'run.open'
  | 'prompt.submit'
  | 'prompt publication'
  | 'mapping publication'
  | 'intent'
  | 'agent decision'
  | 'user decision'
  | 'basis decision'
  | 'principal registration'
  | 'delegation grant'
  | 'credential configuration'
  | 'outcome'
  | 'read-back';

export type UnstatedFact =
  | 'prompt digest'
  | 'declared scope'
  | 'delegation'
  | 'decisions it rests on'
  | 'credential'
  | 'mapping'
  | 'requested and sent values'
  | 'acting agent';

export type Finding =
  | {
      readonly cause: Cause;
      readonly state: 'established';
      readonly deviations: readonly Deviation[];
      readonly citations: readonly Citation[];
    }
  /** Every single entry of `basis` is needed. */
  | {
      readonly cause: Cause;
      readonly state: 'excluded';
      readonly basis: readonly Basis[];
      readonly citations: readonly Citation[];
    }
  | {
      readonly cause: Cause;
      readonly state: 'unknown';
      readonly reasons: readonly UnknownReason[];
      readonly citations: readonly Citation[];
    };

/** What the comparison of one stage with its reference brought. */
export interface StageResult {
  readonly deviations: readonly Deviation[];
  readonly unknowns: readonly UnknownReason[];
  /** What conforms rests on. */
  readonly basis: readonly Basis[];
}

/** By index, each once. */
export const uniqueCitations = (citations: Iterable<Citation>): Citation[] => {
  const byId = new Map<string, Citation>();
  for (const citation of citations) byId.set(citation.id, citation);
  return [...byId.values()].toSorted((a, b) => a.index - b.index);
};

/** Entries of the same role put together. */
export const mergeBasis = (bases: readonly Basis[]): Basis[] =>
  [...Map.groupBy(bases, ({ role }) => role)].map(([role, own]) => ({
    role,
    citations: uniqueCitations(own.flatMap(({ citations }) => citations)),
  }));

export const basis = (role: BasisRole, ...events: readonly RecordedEvent[]): Basis => ({
  role,
  citations: events.map(cite),
});

/**
 * A deviation stands whatever else is missing, since it rests on entries that are there. Conformity is a statement
 * about everything, so one missing piece makes it unknown. `place`: where an entry stands in causal order.
 */
export const findingOf = (
  cause: Cause,
  { deviations, unknowns, basis: conforming }: StageResult,
  incomplete: readonly UnknownReason[],
  place: (citation: Citation) => number,
): Finding => {
  if (deviations.length > 0) {
    const merged = mergeDeviations(deviations, place);
    const citations = uniqueCitations(merged.flatMap((deviation) => deviation.basis.flatMap((b) => b.citations)));
    return { cause, state: 'established', deviations: merged, citations };
  }
  const reasons = mergeReasons([...unknowns, ...incomplete]);
  if (reasons.length > 0) {
    return { cause, state: 'unknown', reasons, citations: uniqueCitations(reasons.flatMap((r) => r.citations)) };
  }
  const merged = mergeBasis(conforming);
  return { cause, state: 'excluded', basis: merged, citations: uniqueCitations(merged.flatMap((b) => b.citations)) };
};

/** What is said for several entries is one reason, with the entries of all. */
const mergeReasons = (reasons: readonly UnknownReason[]): UnknownReason[] =>
  [...Map.groupBy(reasons, (reason) => JSON.stringify({ ...reason, citations: undefined })).values()].map((own) => ({
    ...own[0]!,
    citations: uniqueCitations(own.flatMap(({ citations }) => citations)),
  }));

/** The same deviation in many calls is one, with the objects of all of them, where it occurred first. */
const mergeDeviations = (deviations: readonly Deviation[], place: (citation: Citation) => number): Deviation[] => {
  const same = Map.groupBy(deviations, (deviation) => {
    const own = { basis: undefined, at: undefined, objects: undefined, misdirected: undefined, fields: undefined };
    return JSON.stringify({ ...deviation, ...own });
  });
  return [...same.values()].map((own) => {
    const first = own.toSorted((a, b) => place(a.at) - place(b.at))[0]!;
    const merged = { ...first, basis: mergeBasis(own.flatMap((deviation) => deviation.basis)) };
    if ('objects' in merged) {
      merged.objects = own.reduce((sum, one) => sum + ('objects' in one ? one.objects : 0), 0);
    }
    if (merged.kind === 'mapping-outdated') {
      const known = own.flatMap((one) =>
        one.kind === 'mapping-outdated' && one.misdirected !== null ? one.misdirected : [],
      );
      const differences = [...new Map(known.map((difference) => [difference.logical, difference])).values()];
      const unreadable = own.every((one) => one.kind === 'mapping-outdated' && one.misdirected === null);
      return { ...merged, misdirected: unreadable ? null : differences };
    }
    if (merged.kind === 'sent-not-as-mapped') {
      const fields = new Set(own.flatMap((one) => (one.kind === 'sent-not-as-mapped' ? one.fields : [])));
      return { ...merged, fields: [...fields].toSorted() };
    }
    return merged;
  });
};
