/**
 * What passes between the API, the workflow that creates an instance, and its activities: ids and codes. Who becomes its
 * first members stands in the request's entry in the platform's log, and only there (a claim check).
 */
import type { EventId, InstanceId } from '../../schema/ids.ts';

/** Belongs to the platform, whose operators asked for it: under their instance's keys. */
export const creationWorkflowId = (platform: InstanceId, request: EventId): string => `${platform}/instance/${request}`;

/** Numbers the entries of one creation: 1 is the request, 2 how it ended. */
export const creationEmitter = (request: EventId): string => `platform/instance/${request}`;

export interface CreationReference {
  /** In whose log the request stands. */
  readonly platform: InstanceId;
  /** Event id of the request. The same one again is the same creation. */
  readonly request: EventId;
  /** The new one. */
  readonly instance: InstanceId;
}

export interface CreationDurations {
  /** How long steps are tried again before all is undone. */
  readonly giveUpMs: number;
  /** One try of one step. */
  readonly stepMs: number;
  readonly heartbeatMs: number;
  readonly retryMsMax: number;
}

export const creationDurations: CreationDurations = {
  giveUpMs: 3_600_000,
  stepMs: 300_000,
  heartbeatMs: 20_000,
  retryMsMax: 30_000,
};

export interface CreateInstanceInput extends CreationReference {
  readonly durations: CreationDurations;
}

/** How a creation ended. `CONFLICT`: the name is taken, or its place in the archive is. */
export type CreationEnd = { readonly state: 'ACTIVE' } | { readonly state: 'UNDONE'; readonly code: CreationFailure };

export const creationFailures = ['CONFLICT', 'INVALID_REQUEST', 'UNAVAILABLE', 'INTERNAL', 'TIMEOUT'] as const;
export type CreationFailure = (typeof creationFailures)[number];

/** The steps in their order. Each can be done again, and after it a crash leaves what the next one needs. */
export interface InstanceActivities {
  /** Takes the name for this request. Fails with `INSTANCE_EXISTS` where another has it. */
  reserveInstance(input: CreationReference): Promise<void>;
  /** Database, collections, indexes, roles, and the duties' users in them. */
  prepareInstanceDatabase(input: CreationReference): Promise<void>;
  /** Epoch key, signing key and the other secrets that every instance has. */
  prepareInstanceKeys(input: CreationReference): Promise<void>;
  prepareInstanceArchive(input: CreationReference): Promise<void>;
  /** First entry and first checkpoint, then policies, members and their tokens as control entries, applied. */
  beginInstanceLog(input: CreationReference): Promise<void>;
  /** From here on the instance is there: listed, its tokens open it, its log is served. */
  activateInstance(input: CreationReference): Promise<void>;
  /** Takes away everything that was made for this request, and nothing of another's. `active`: it is too late for that. */
  discardInstance(input: CreationReference): Promise<'discarded' | 'active'>;
  /** How it ended, in the platform's log. */
  recordCreation(input: CreationReference & { readonly end: CreationEnd }): Promise<void>;
}

/** Types of failures after which trying again can't help, and what the record says of each. */
export const finalCreationFailures: Readonly<Record<string, CreationFailure>> = {
  INSTANCE_EXISTS: 'CONFLICT',
  INSTANCE_GONE: 'CONFLICT',
  ARCHIVE_OCCUPIED: 'CONFLICT',
  PROVISION_FAILED: 'INVALID_REQUEST',
  REQUEST_MISSING: 'INVALID_REQUEST',
};
