/** What a diagnosis says besides its findings. Each statement cites the entries that it rests on. */
import type { EventId } from '../../schema/ids.ts';
import type { Action, ActorKind, ErrorCode, Outcome, System } from '../../schema/taxonomy.ts';
import type { MissingReason } from '../completeness.ts';
import type { ObjectTally } from '../timeline/objectTally.ts';
import type { Citation, PolicyReference } from './finding.ts';

export type Statement = StatementDetail & { readonly citations: readonly Citation[] };

export type StatementDetail =
  | {
      readonly kind: 'trigger';
      readonly principal: string;
      readonly actor: ActorKind;
      readonly onBehalfOf: string | null;
      readonly purpose: string | null;
    }
  | { readonly kind: 'trigger-unknown' }
  /** Which identity was assumed in a target system, by whom, for whom. Null: not recorded. */
  | {
      readonly kind: 'identity';
      readonly system: System;
      readonly credential: string | null;
      readonly principal: string;
      readonly onBehalfOf: string | null;
      readonly delegation: string | null;
      readonly attempts: number;
    }
  /** What was decided about one step. Without decisions, what allowed it is unknown. */
  | {
      readonly kind: 'permission';
      readonly intent: EventId;
      readonly system: System;
      readonly action: Action;
      readonly decisions: readonly PermissionDecision[];
      readonly approval: { readonly result: 'granted' | 'denied' | 'pending'; readonly by: string | null } | null;
    }
  | {
      readonly kind: 'step';
      readonly intent: EventId;
      readonly system: System;
      readonly action: Action;
      /** `missing`: no outcome is recorded. `partial`: some objects succeeded and some did not. */
      readonly status: 'success' | 'partial' | 'failure' | 'denied' | 'unknown' | 'pending' | 'retry' | 'missing';
      readonly settled: boolean;
      readonly calls: number;
      readonly retries: number;
      /** Entries of single objects, by outcome. */
      readonly objects: Readonly<Partial<Record<Outcome, number>>>;
      readonly tally: ObjectTally;
      readonly errors: readonly ErrorCode[];
    }
  /** One field of the target system over all objects in which it changed. */
  | {
      readonly kind: 'change';
      readonly system: System;
      readonly action: Action;
      readonly field: string;
      readonly objects: number;
      /** How many of these have values that can't be read (erased, withheld or not recorded). */
      readonly unreadable: number;
      /** Most frequent first, at most three. `null` before: nothing was there. */
      readonly examples: readonly { readonly from: string | null; readonly to: string; readonly objects: number }[];
    }
  | { readonly kind: 'missing'; readonly missing: MissingReason }
  | { readonly kind: 'intact'; readonly size: number }
  | { readonly kind: 'not-intact'; readonly detail: string }
  | { readonly kind: 'version'; readonly what: VersionedPart; readonly value: string; readonly standing: Standing }
  | { readonly kind: 'version-unknown'; readonly what: VersionedPart }
  | { readonly kind: 'reported-effect'; readonly system: System; readonly action: Action; readonly events: number };

export interface PermissionDecision {
  readonly about: 'agent' | 'user' | 'caller';
  readonly result: 'allow' | 'deny';
  readonly policy: PolicyReference;
}

export const versionedParts = ['agentBuild', 'model', 'promptDigest', 'connector', 'mapping'] as const;
export type VersionedPart = (typeof versionedParts)[number];

/** How a version in play stands to what was published when it was last used. Connectors are not published. */
export type Standing =
  | { readonly state: 'in-force' }
  | { readonly state: 'superseded'; readonly by: string }
  | { readonly state: 'other-published'; readonly inForce: string }
  | { readonly state: 'no-publication' };
