/** The steps as activities: each is one call, and says no more than a code when it fails. */
import { CancelledFailure } from '@temporalio/common';
import {
  creationEmitter,
  finalCreationFailures,
  type CreationEnd,
  type CreationReference,
  type InstanceActivities,
} from '../../domain/instances/contract.ts';
import { creationCorrelation, instancePart, type CreationRequest } from '../../domain/instances/request.ts';
import type { EventInput } from '../../schema/event.ts';
import type { InstanceId, PrincipalId } from '../../schema/ids.ts';
import { creationEnd } from '../../store/creation-ids.ts';
import { TrailError } from '../../trail/errors.ts';
import type { Trail } from '../../trail/trail.ts';
import { FinalFailure } from '../failures.ts';
import { loadRequest } from './request.ts';
import type { InstanceSteps } from './steps.ts';

export interface InstanceActivityDeps {
  readonly steps: InstanceSteps;
  /** The trail of the platform's own instance, in whose log requests stand. */
  readonly openPlatform: (platform: InstanceId) => Promise<Pick<Trail, 'reader' | 'writer'>>;
  /** Policies and members as control entries of the new log; returns once they are applied. */
  readonly furnish: (trail: Trail, request: CreationRequest) => Promise<void>;
  readonly nowMs: () => number;
}

export const createInstanceActivities = (deps: InstanceActivityDeps): InstanceActivities => {
  const { steps } = deps;
  return {
    reserveInstance: (reference) => step(() => steps.reserve(reference)),
    prepareInstanceDatabase: (reference) => step(() => steps.prepareDatabase(reference)),
    prepareInstanceKeys: (reference) => step(() => steps.prepareKeys(reference)),
    prepareInstanceArchive: (reference) => step(() => steps.prepareArchive(reference)),
    beginInstanceLog: (reference) =>
      step(async () => {
        const request = await loadRequest(await deps.openPlatform(reference.platform), reference.request);
        await deps.furnish(await steps.begin(reference), request);
      }),
    activateInstance: (reference) => step(() => steps.activate(reference)),
    discardInstance: (reference) => step(() => steps.discard(reference)),
    recordCreation: (input) => step(() => recordEnd(deps, input)),
  };
};

/** What trying again can't mend ends the creation; all else is tried again by Temporal. */
const step = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CancelledFailure) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw Object.hasOwn(finalCreationFailures, code) ? new FinalFailure(code) : error;
  }
};

const recordEnd = async (
  { steps, openPlatform, nowMs }: InstanceActivityDeps,
  input: CreationReference & { readonly end: CreationEnd },
): Promise<void> => {
  const { writer } = await openPlatform(input.platform);
  const made = input.end.state === 'ACTIVE' ? await describe(steps, input) : {};
  const [result] = await writer.append([endEvent(input, made, nowMs())], 'platform');
  // It was recorded by a try whose answer was lost, with a checkpoint of that moment.
  if (result?.status === 'refused' && result.refusal.code !== 'ID_CONFLICT')
    throw new TrailError('LOG_INCONSISTENT', `the end of a creation was refused: ${result.refusal.code}`);
};

const describe = async (steps: InstanceSteps, reference: CreationReference) => {
  const { origin } = await steps.record(reference);
  const trail = await steps.open(reference.instance, origin);
  const checkpoint = await trail.reader.checkpoint();
  return { origin, vkey: trail.vkey, ...(checkpoint && { checkpoint: checkpoint.note }) };
};

const endEvent = (
  { request, instance, end }: CreationReference & { readonly end: CreationEnd },
  made: object,
  nowMs: number,
): EventInput => ({
  ...creationEnd(request),
  correlationId: creationCorrelation(request),
  causedBy: request,
  emitter: { id: creationEmitter(request), sequence: 2 },
  eventTime: new Date(nowMs).toISOString(),
  actor: { principal: 'platform' as PrincipalId, kind: 'platform' },
  action: 'instance.create',
  phase: 'outcome',
  outcome: end.state === 'ACTIVE' ? 'success' : 'failure',
  system: 'trailkeeper',
  ...(end.state === 'UNDONE' && { error: { code: end.code } }),
  parts: [{ name: instancePart, content: { instance, ...made } }],
});
