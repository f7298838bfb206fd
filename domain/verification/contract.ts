/**
 * What passes between the schedule, the workflows of self-verification and their activities: ids, numbers and kinds of
 * differences. No content; what is found is recorded in the log by the last activity.
 */
import type { EventId, InstanceId, PrincipalId } from '../../schema/ids.ts';
import type { ActorKind, ErrorCode } from '../../schema/taxonomy.ts';
import type { Projection } from './difference.ts';
import type { Tally } from './tally.ts';

/** `sample`: places drawn by a seed, daily; `full`: everything, weekly. */
export const checkKinds = ['sample', 'full'] as const;
export type CheckKind = (typeof checkKinds)[number];

/** What is looked at, in this order. One that can't be looked at now does not keep the others from being looked at. */
export const checkStages = ['record', 'outside', 'tiles', 'emitters', 'archive', 'witness'] as const;
export type CheckStage = (typeof checkStages)[number];

/** How much is read, and how fast. */
export interface CheckRates {
  /** Entries that a sample looks at; those of the same segments come along. */
  readonly sampledEntries: number;
  /** At most, over the whole check; 0: as fast as it goes. */
  readonly entriesPerSecond: number;
}

export interface Requester {
  readonly principal: PrincipalId;
  readonly kind: ActorKind;
}

/** How much was looked at, by what it was. */
export type Looked = Readonly<
  Record<
    'entries' | 'segments' | 'boxes' | 'opened' | 'rows' | 'checkpoints' | 'tiles' | 'emitters' | 'objects',
    number
  >
>;

export interface CheckInput {
  readonly instance: InstanceId;
  readonly kind: CheckKind;
  /** Absent for one that the schedule began. */
  readonly requestedBy?: Requester;
  /** UUIDv4; made by the workflow where it is not given. */
  readonly check?: string;
  /** Of a sample; by default the check's own id. */
  readonly seed?: string;
  /** Steps after which the workflow continues as new. */
  readonly stepsPerHistory?: number;
  /** From before a continue-as-new. */
  readonly carried?: CheckState;
}

/** Where the check stands. */
export interface CheckState {
  readonly check: string;
  readonly seed: string;
  readonly intent: EventId;
  readonly beganMs: number;
  readonly plan: CheckPlan;
  /** Index into `checkStages`. */
  readonly stage: number;
  /** What the stage goes on from; absent at its beginning. */
  readonly cursor?: StageCursor;
  readonly looked: Looked;
  readonly found: Tally;
  readonly unchecked: readonly UncheckedStage[];
}

export interface UncheckedStage {
  readonly stage: CheckStage;
  /** Why: the code of the failure. */
  readonly code: string;
}

/** What the check is of, settled at its beginning. */
export interface CheckPlan {
  /** Entries of the latest checkpoint. */
  readonly size: number;
  readonly rates: CheckRates;
}

/** Of the stage that made it; nothing else reads it. */
export type StageCursor = Readonly<Record<string, string | number | null>>;

export interface BeginCheckInput {
  readonly instance: InstanceId;
  readonly kind: CheckKind;
  readonly check: string;
  readonly seed: string;
  readonly intent: EventId;
  readonly nowMs: number;
  readonly requestedBy?: Requester;
}

export interface CheckStageInput {
  readonly instance: InstanceId;
  readonly kind: CheckKind;
  readonly stage: CheckStage;
  readonly seed: string;
  readonly plan: CheckPlan;
  readonly cursor?: StageCursor;
}

export interface CheckStageResult {
  /** Absent when the stage is done. */
  readonly cursor?: StageCursor;
  readonly looked: Looked;
  readonly found: Tally;
}

export interface FinishCheckInput {
  readonly instance: InstanceId;
  readonly kind: CheckKind;
  readonly state: CheckState;
  /** Ids of the alerts and, last, of the outcome. */
  readonly entries: readonly EventId[];
  readonly nowMs: number;
}

export interface FinishedCheck {
  /** Log index of the outcome. */
  readonly index: number;
}

export interface RepairInput {
  readonly instance: InstanceId;
  readonly requestedBy: Requester;
  /** UUIDv4. */
  readonly repair: string;
  readonly carried?: RepairState;
  readonly stepsPerHistory?: number;
}

export interface RepairState {
  readonly intent: EventId;
  readonly size: number;
  /** Index into `repairStages`. */
  readonly stage: number;
  readonly cursor?: StageCursor;
  readonly mended: Mended;
}

export const repairStages = ['index', 'tiles', 'emitters'] as const satisfies readonly Projection[];

/** Documents that were written anew or removed. */
export type Mended = Readonly<Record<Projection, number>>;

export interface RepairStageInput {
  readonly instance: InstanceId;
  readonly stage: Projection;
  readonly size: number;
  readonly cursor?: StageCursor;
}

export interface RepairStageResult {
  readonly cursor?: StageCursor;
  readonly mended: Partial<Mended>;
}

export interface RecordRepairInput {
  readonly instance: InstanceId;
  readonly repair: string;
  readonly requestedBy: Requester;
  readonly intent: EventId;
  readonly nowMs: number;
  /** Present at the end. */
  readonly ended?: {
    readonly entry: EventId;
    readonly mended: Mended;
    readonly code?: ErrorCode;
  };
}

export interface VerificationActivities {
  /** Records that the check begins, and says what it is of. */
  beginCheck(input: BeginCheckInput): Promise<CheckPlan>;
  /** Takes one stage a step further. */
  checkStage(input: CheckStageInput): Promise<CheckStageResult>;
  /** Records what was found: an alert for each kind, and the outcome. */
  finishCheck(input: FinishCheckInput): Promise<FinishedCheck>;
  /** Records that a repair begins, or how it ended. Answers with the size of the log. */
  recordRepair(input: RecordRepairInput): Promise<{ readonly size: number }>;
  repairStage(input: RepairStageInput): Promise<RepairStageResult>;
}

/** Workflow ids. One check of each kind, one on demand, and one repair go on at a time in an instance. */
export const scheduledCheckId = (instance: InstanceId, kind: CheckKind): string => `${instance}/verification/${kind}`;
export const requestedCheckId = (instance: InstanceId): string => `${instance}/verification/on-demand`;
export const repairId = (instance: InstanceId): string => `${instance}/verification/repair`;

/** Emitter of a check's entries; each check is one of its own, so that its entries can't be left out unseen. */
export const checkEmitter = (check: string): string => `platform/verification/${check}`;

export interface CheckProgress {
  readonly check: string;
  readonly kind: CheckKind;
  readonly stage: CheckStage | 'ended';
  readonly entries: number;
  readonly size: number;
  readonly differences: number;
}

export interface RepairProgress {
  readonly repair: string;
  readonly stage: Projection | 'ended';
  readonly mended: Mended;
}
