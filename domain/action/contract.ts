/**
 * What passes between the API, the workflows and their activities: ids, digests, codes and numbers only. Content is in
 * the trail, and who needs it loads it from there by the intent's id (a claim check).
 */
import type { EventId, InstanceId, PrincipalId, RunId } from '../../schema/ids.ts';
import type { ErrorCode, Outcome } from '../../schema/taxonomy.ts';
import type { Decision } from './approval.ts';
import type { ActionDurations } from './durations.ts';

/** One for each kind of work, so that none waits for the other. */
export interface TaskQueues {
  readonly actions: string;
  readonly runs: string;
  /** What the platform does for itself: verification, rotation, provisioning. */
  readonly maintenance: string;
  /** What needs the administrator's connection to MongoDB; one process alone holds it (stack/maintenance.ts). */
  readonly provisioning: string;
}
export const taskQueues: TaskQueues = {
  actions: 'actions',
  runs: 'runs',
  maintenance: 'maintenance',
  provisioning: 'provisioning',
};

export const runWorkflowId = (instance: InstanceId, run: RunId): string => `${instance}/run/${run}`;
export const actionWorkflowId = (instance: InstanceId, intent: EventId): string => `${instance}/action/${intent}`;
/** Instances' names hold no slash, so a workflow can't claim to be another instance's. */
export const instanceOfWorkflow = (workflowId: string): InstanceId =>
  workflowId.slice(0, Math.max(0, workflowId.indexOf('/'))) as InstanceId;

/** Where an action stands in the log, and where its intent is. */
export interface ActionReference {
  readonly instance: InstanceId;
  readonly run: RunId;
  readonly intent: EventId;
  /** Log index of the intent. */
  readonly intentIndex: number;
  /** SHA-256 of the canonical JSON (RFC 8785) of `{tool, params}`, hex. */
  readonly parametersDigest: string;
}

export interface ActionInput extends ActionReference {
  readonly agent: PrincipalId;
  readonly onBehalfOf?: PrincipalId;
  readonly durations: ActionDurations;
}

export interface RunInput {
  readonly instance: InstanceId;
  readonly run: RunId;
  readonly actionsMax: number;
  /** Where its actions are carried out. */
  readonly actionsQueue: string;
  /** Admissions after which the run continues as new. */
  readonly admissionsPerHistory: number;
  /** From before a continue-as-new. */
  readonly carried?: { readonly children: string; readonly closing?: EventId };
}

/** Update `perform` of a run. */
export type PerformInput = ActionInput;

export interface RunProgress {
  readonly state: 'OPEN' | 'CLOSING';
  readonly actions: number;
}

/** Update `settle` of an action: a person says what became of a call of unknown result. */
export interface SettleInput {
  readonly outcome: 'success' | 'failure';
  readonly by: PrincipalId;
  readonly kind: 'human' | 'agent' | 'service' | 'platform';
  readonly entry: EventId;
}

export type SettleRefusal = 'ACTION_NOT_UNKNOWN' | 'APPROVER_IS_REQUESTER';

/** Id and number that the workflow gives to the first entry of a group. */
export interface EntrySlot {
  readonly id: EventId;
  readonly sequence: number;
}

/** The next free number of the action's emitter. */
interface Numbered {
  readonly sequence: number;
}

export interface DecideInput extends ActionReference {
  readonly agentSlot: EntrySlot;
  readonly userSlot: EntrySlot;
  /** An approval that was given. */
  readonly approval?: { readonly entry: EventId; readonly by: PrincipalId };
}

export type DecideResult = Numbered &
  (
    | {
        readonly kind: 'allowed';
        readonly decisions: readonly EventId[];
        readonly controlEpoch: number;
        readonly approvalRequired: boolean;
        /** Vendor calls that the action consists of. */
        readonly steps: number;
      }
    | { readonly kind: 'refused'; readonly outcome: 'denied' | 'failure'; readonly code: ErrorCode }
  );

export interface RequestApprovalInput extends ActionReference {
  readonly slot: EntrySlot;
  readonly causedBy: EventId;
  readonly expiresMs: number;
}

export interface RecordApprovalInput extends ActionReference {
  readonly slot: EntrySlot;
  readonly decision: Decision;
}

export interface AttemptInput extends ActionReference {
  readonly step: number;
  /** Number of the attempt at this step, from 1. */
  readonly attempt: number;
  readonly slot: EntrySlot;
  readonly outcomeId: EventId;
  /** Asked again after `in-doubt`. */
  readonly resuming: boolean;
  readonly decisions: readonly EventId[];
  readonly controlEpoch: number;
  readonly approval?: { readonly entry: EventId; readonly expiresMs: number };
  readonly durations: Pick<ActionDurations, 'callMs' | 'claimMs' | 'skewMs' | 'attemptsMax'>;
}

export type AttemptResult =
  /** Nothing was attempted, and nothing recorded. */
  | { readonly kind: 'refused'; readonly outcome: 'denied' | 'failure'; readonly code: ErrorCode }
  /** Control state changed since the decision; nothing recorded. */
  | { readonly kind: 'stale' }
  /** Somebody else may still be making this call; ask again after this time. Nothing recorded. */
  | { readonly kind: 'in-doubt'; readonly waitMs: number }
  | (Numbered & RecordedOutcome);

export interface RecordedOutcome {
  readonly kind: 'recorded';
  readonly outcome: Exclude<Outcome, 'pending'>;
  readonly code?: ErrorCode;
  readonly entry: EventId;
  /** Log index of `entry`, where this execution wrote it. */
  readonly index?: number;
  readonly objects: { readonly succeeded: number; readonly failed: number };
  /** Objects of the call; absent in what was recorded before this was told. */
  readonly size?: number;
  readonly retryAfterMs?: number;
  /** How long after the call a look at the target is certain; -1 where nothing but a person can tell. */
  readonly settleAfterMs: number;
  /** Whether there is something to read back. */
  readonly verifiable: boolean;
}

export interface SettleByReadingInput extends ActionReference {
  readonly step: number;
  readonly attempt: EventId;
  readonly unknown: EventId;
  readonly slot: EntrySlot;
  readonly durations: Pick<ActionDurations, 'callMs'>;
}

export type SettleByReadingResult = { readonly kind: 'undetermined' } | (Numbered & RecordedOutcome);

export interface RecordSettlementInput extends ActionReference {
  readonly slot: EntrySlot;
  readonly settlement: SettleInput;
}

export interface ReadBackInput extends ActionReference {
  readonly step: number;
  readonly attempt: EventId;
  /** The entry that says what the call did. */
  readonly outcome: EventId;
  readonly outcomeIndex?: number;
  readonly slot: EntrySlot;
  /** True for the last try: what can't be read then is recorded as not verified. */
  readonly last: boolean;
  readonly durations: Pick<ActionDurations, 'callMs'>;
}

export type ReadBackResult =
  | { readonly kind: 'again' }
  | (Numbered & { readonly kind: 'recorded'; readonly outcome: 'success' | 'failure' | 'unknown' });

export interface FinishInput extends ActionReference {
  readonly slot: EntrySlot;
  readonly causedBy: EventId;
  readonly outcome: 'denied' | 'failure';
  readonly code: ErrorCode;
}

/** What the workflow of an action can ask for. */
export interface ActionActivities {
  decide(input: DecideInput): Promise<DecideResult>;
  requestApproval(input: RequestApprovalInput): Promise<void>;
  recordApproval(input: RecordApprovalInput): Promise<void>;
  attempt(input: AttemptInput): Promise<AttemptResult>;
  settleByReading(input: SettleByReadingInput): Promise<SettleByReadingResult>;
  recordSettlement(input: RecordSettlementInput): Promise<void>;
  readBack(input: ReadBackInput): Promise<ReadBackResult>;
  finish(input: FinishInput): Promise<void>;
}

/** Why an activity gives up for good: the type of its failure. All others are tried again. */
export const finalFailures = {
  /** The log holds other entries under this action's numbers: it was carried out before, by a forgotten workflow. */
  alreadyRun: 'ACTION_ALREADY_RUN',
  /** The intent is not what it was said to be: a defect, or a forged call. */
  intentMismatch: 'INTENT_MISMATCH',
} as const;
