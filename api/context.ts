/** What a resolver knows about the request: who asks, and the one instance that the request is confined to. */
import type { ArchiveServices } from './archiveServices.ts';
import type { Client } from '@temporalio/client';
import type { TaskQueues } from '../domain/action/contract.ts';
import type { ActionDurations } from '../domain/action/durations.ts';
import type { CreationDurations } from '../domain/instances/contract.ts';
import type { ToolCatalogue } from '../domain/action/toolCatalogue.ts';
import type { CheckIntervals } from '../domain/verification/schedule.ts';
import type { Role } from '../schema/control.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import type { ActorKind } from '../schema/taxonomy.ts';
import type { ControlState } from '../store/control-state.ts';
import type { KeyStates } from '../store/key-states.ts';
import type { Identities } from '../store/identities.ts';
import type { InstanceRecord } from '../store/instances.ts';
import type { Recorder } from '../trail/recorder.ts';
import type { Trail } from '../trail/trail.ts';

/** Whom a token stands for. `instance` comes from the token alone: nothing in a request can name another. */
export interface Caller {
  readonly instance: InstanceId;
  readonly principal: PrincipalId;
  readonly kind: ActorKind;
  readonly role: Role;
  /** Name of the token, not its secret. */
  readonly token: string;
}

export interface InstanceServices {
  readonly trail: Trail;
  readonly control: ControlState;
  readonly identities: Identities;
  /** The keys that there are, by names and states. */
  readonly keys: () => Promise<KeyStates>;
  /** Absent where nothing is archived. */
  readonly archive?: ArchiveServices;
  /** This process as an emitter in the instance's log. */
  readonly recorder: Recorder;
  /** The same for control entries and nothing else, so that a missing one shows (domain/diagnosis/evidence.ts). */
  readonly controlRecorder: Recorder;
}

export interface Services {
  /** The same object for the same instance; opened when first asked for. */
  open(instance: InstanceId): Promise<InstanceServices>;
  /** At most so many, by name, after this one. For operators of the platform alone. */
  instances(after: string, limit: number): Promise<InstanceRecord[]>;
  /** Those that are open. */
  opened?(): Promise<InstanceServices[]>;
  readonly temporal: Client;
  /** What agents may ask for; made from the connectors by stack/temporal/toolCatalogue.ts. */
  readonly tools: ToolCatalogue;
  /** Instead of the usual ones (domain/action/durations.ts). */
  readonly actionDurations?: Partial<ActionDurations>;
  /** Instead of the usual ones (domain/instances/contract.ts). */
  readonly creationDurations?: Partial<CreationDurations>;
  /** Where workers are listening; instead of the usual ones. */
  readonly taskQueues?: TaskQueues;
  /** Actions that a run admits before it continues as new; instead of the usual 500. */
  readonly admissionsPerHistory?: number;
  /** How often each kind of self-verification should come; instead of the usual times. */
  readonly checkIntervalsMs?: CheckIntervals;
  nowMs(): number;
}

export interface OperationContext {
  readonly caller: Caller;
  readonly services: Services;
  readonly instance: InstanceServices;
}
