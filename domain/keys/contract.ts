/** What passes between the API, the workflows of key rotation and their activities: ids and counts, never a key. */
import type { ControlChange } from '../../schema/control.ts';
import type { EventId, InstanceId, PrincipalId } from '../../schema/ids.ts';
import type { ActorKind } from '../../schema/taxonomy.ts';

export type RotatedKey = 'epoch' | 'signing';
export type KeyChange = Extract<ControlChange, { change: 'key.rotate' | 'key.retire' | 'key.destroy' }>;

export interface Requester {
  readonly principal: PrincipalId;
  readonly kind: ActorKind;
}

/** One at a time for each kind of key and instance: the id is taken. */
export const rotationId = (instance: InstanceId, key: RotatedKey): string => `${instance}/keys/rotate-${key}`;
export const masterRotationId = (instance: InstanceId): string => `${instance}/keys/rotate-master`;
export const destructionId = (instance: InstanceId, epoch: number): string => `${instance}/keys/destroy-epoch-${epoch}`;

export interface RotationInput {
  readonly instance: InstanceId;
  readonly key: RotatedKey;
  readonly requestedBy: Requester;
  /** How long checkpoints are signed by the old and the new signing key. */
  readonly overlapMs: number;
}

export interface RotationProgress {
  readonly key: RotatedKey;
  /** `made`: the new key exists. `moving`: it is in use, and what is under the old one is being moved. `ended`. */
  readonly stage: 'making' | 'moving' | 'overlap' | 'retiring' | 'ended';
  readonly from: string | null;
  readonly to: string | null;
  /** Secrets that were wrapped under the new key so far. */
  readonly rewrapped: number;
}

export interface RotationResult {
  readonly from: string;
  readonly to: string;
  /** Log index of the entry that took the new key into use, and of the one that retired the old one. */
  readonly rotated: number;
  readonly retired: number;
}

/** Place of an entry among those of one rotation, which are an emitter of their own. */
export interface KeyEntrySlot {
  /** UUID of the rotation. */
  readonly rotation: string;
  readonly id: EventId;
  readonly sequence: number;
  readonly nowMs: number;
  readonly causedBy?: EventId;
}

/** Asked for by the platform's own instance. */
export interface MasterRotationInput {
  readonly instance: InstanceId;
  readonly requestedBy: Requester;
}

export interface DestructionInput {
  readonly instance: InstanceId;
  readonly epoch: number;
  readonly requestedBy: Requester;
}

export interface DestructionResult {
  /** The provider's name of the key. */
  readonly keyId: string;
  readonly state: 'destroyed' | 'pending';
  /** When the provider destroys it, or did: RFC 3339. */
  readonly until: string;
  /** Log index of the entry that says so. */
  readonly index: number;
}

export interface KeyActivities {
  /** Makes the next key of a kind, or finds the one that was made. Nothing rests on it yet. */
  makeKey(input: { instance: InstanceId; key: RotatedKey }): Promise<{ from: string; to: string; vkey?: string }>;
  /** Records a change and waits until it is applied. A second execution finds what the first wrote. Fails for good where it is void. */
  changeKey(input: {
    instance: InstanceId;
    slot: KeyEntrySlot;
    change: KeyChange;
    by: Requester;
  }): Promise<{ index: number }>;
  /** Moves everything of the instance under its current epoch key; what was done before is passed over. */
  moveToEpoch(input: { instance: InstanceId }): Promise<{ moved: number; unreadable: number }>;
  /** Destroys the seed of a retired signing key, once a checkpoint beyond its retirement is anchored. */
  destroySeed(input: { instance: InstanceId; id: string; retired: number }): Promise<void>;
  destroyEpoch(input: {
    instance: InstanceId;
    epoch: number;
  }): Promise<{ keyId: string; state: 'destroyed' | 'pending'; until: string }>;
  /** Makes the next master key beside the current one. */
  prepareMaster(): Promise<{ from: string; to: string }>;
  /**
   * Records its rotation in every instance's own log, which learns of no other. `passedOver`: why logs take no entry for
   * good, and how many: `LOG_CLOSED 1, NOT_FOUND 2`.
   */
  recordMaster(input: { rotation: string; from: string; to: string; nowMs: number }): Promise<{
    instances: number;
    passedOver?: string;
  }>;
  /** Puts every epoch key under it. */
  completeMaster(): Promise<void>;
  /** Records what became of it. */
  recordKeyOutcome(input: {
    instance: InstanceId;
    slot: KeyEntrySlot;
    key: string;
    outcome: 'success' | 'failure' | 'pending';
    detail: Readonly<Record<string, string | number>>;
  }): Promise<{ index: number }>;
}

/** The types of failures for good, and so the codes that callers see. */
export const keyFailures = {
  /** The change was recorded and has no effect. */
  void: 'KEY_CHANGE_VOID',
  /** Secrets do not open under the key that they are said to be under: the old key can't be retired. */
  unreadable: 'KEYS_UNREADABLE',
} as const;
