/**
 * The isolation probe: the platform's own attempt to cross from one instance, the canary, into others. What passes between
 * the API, the workflow and its activities are ids, codes and names of boundaries.
 */
import { createHash } from 'node:crypto';
import type { CorrelationId, EventId, InstanceId } from '../../schema/ids.ts';

/** The doors and walls between instances. */
export const boundaries = ['graphql', 'events', 'log', 'evidence', 'mongodb', 'archive', 'payload'] as const;
export type Boundary = (typeof boundaries)[number];

/** `unable`: the attempt could not be made (a server was away), so it says nothing. */
export type AttemptResult = 'refused' | 'crossed' | 'unable';

export interface ProbeAttempt {
  readonly boundary: Boundary;
  /** What was tried, in a few words; no id and no content. */
  readonly attempt: string;
  readonly target: InstanceId;
  readonly result: AttemptResult;
}

export interface ProbeInput {
  readonly platform: InstanceId;
  /** The request's event id; absent for what the schedule starts. */
  readonly request?: EventId;
  readonly attemptsMs: number;
  readonly retryMsMax: number;
}

export type ProbeState = 'HELD' | 'BREACHED' | 'INCOMPLETE';

export interface ProbeSummary {
  readonly state: ProbeState;
  readonly attempts: number;
  readonly breaches: readonly Boundary[];
  readonly unable: readonly Boundary[];
}

export interface ProbeActivities {
  /** Makes every attempt once, and hands out what came of each. */
  attemptCrossings(input: ProbeInput & { readonly probe: EventId }): Promise<readonly ProbeAttempt[]>;
  /** The result as an entry of the platform's log, and one more for each boundary that gave way. */
  recordProbe(
    input: ProbeInput & { readonly probe: EventId; readonly attempts: readonly ProbeAttempt[] },
  ): Promise<ProbeSummary>;
}

export const probeWorkflowId = (platform: InstanceId, request: EventId): string => `${platform}/probe/${request}`;
export const scheduledProbeId = (platform: InstanceId): string => `${platform}/probe/scheduled`;

/** Numbers the entries of one probe: 1 is the request or nothing, 2 the result, then the breaches. */
export const probeEmitter = (probe: EventId): string => `platform/probe/${probe}`;

/** Name of the part that has every attempt. */
export const probePart = 'report';

export const probeCorrelation = (probe: EventId): CorrelationId =>
  createHash('sha256').update(`isolation.probe\n${probe}`).digest('hex').slice(0, 32) as CorrelationId;

export const summaryOf = (attempts: readonly ProbeAttempt[]): ProbeSummary => {
  const boundariesWith = (result: AttemptResult): Boundary[] =>
    boundaries.filter((boundary) => attempts.some((one) => one.boundary === boundary && one.result === result));
  const breaches = boundariesWith('crossed');
  // A boundary that nothing was tried at is as unknown as one where it could not be.
  const untried = boundaries.filter((boundary) => !attempts.some((one) => one.boundary === boundary));
  const unable = [...new Set([...boundariesWith('unable'), ...untried])];
  const state = breaches.length > 0 ? 'BREACHED' : unable.length > 0 ? 'INCOMPLETE' : 'HELD';
  return { state, attempts: attempts.length, breaches, unable };
};
