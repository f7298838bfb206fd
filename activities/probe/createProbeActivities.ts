import { createHash, randomInt } from 'node:crypto';
import canonicalize from 'canonicalize';
import {
  boundaries,
  probeCorrelation,
  probeEmitter,
  probePart,
  summaryOf,
  type Boundary,
  type ProbeActivities,
  type ProbeAttempt,
} from '../../domain/isolation/contract.ts';
import { canaryInstance } from '../../domain/instances/names.ts';
import type { EventInput } from '../../schema/event.ts';
import type { EventId, InstanceId, PrincipalId } from '../../schema/ids.ts';
import { listInstances } from '../../store/instances.ts';
import { probeEntry } from '../../store/probe-ids.ts';
import type { Trail } from '../../trail/trail.ts';
import { makeAll, type Attempt } from './attempt.ts';
import { issueTokens } from './canary.ts';
import { httpAttempts } from './http.ts';
import { mongodbAttempts, type ProbedClients } from './mongodb.ts';
import { targetOf, type Target } from './target.ts';

export interface ProbeDeps {
  readonly clients: ProbedClients;
  /** URL of the API as this process reaches it. */
  readonly api: string;
  readonly prober: string;
  readonly openTrail: (instance: InstanceId) => Promise<Trail>;
  /** At the archive and at Temporal's payloads, which are the business of whoever set these up. */
  readonly others: (target: Target) => readonly Attempt[];
  /** The alarm, besides the entry: told after it stands in the log, perhaps twice after a crash. */
  readonly onBreach: (boundary: Boundary) => void;
  readonly nowMs: () => number;
  /** Instances that may be tried; all of them, where it is absent. */
  readonly mayTarget?: (instance: InstanceId) => boolean;
}

/** Instances that one probe tries; the next one draws others. */
const targetsMax = 3;

export const createProbeActivities = (deps: ProbeDeps): ProbeActivities => ({
  async attemptCrossings({ probe }) {
    const { clients, nowMs, prober } = deps;
    const canary = await deps.openTrail(canaryInstance);
    const issued = await issueTokens(canary, clients.reader, prober as PrincipalId, probe, nowMs());
    try {
      const made: ProbeAttempt[] = [];
      for (const instance of await drawn(deps)) {
        const target = await targetOf(await deps.openTrail(instance), canary, randomInt);
        if (target === undefined) continue;
        const attempts = [
          ...httpAttempts(deps.api, issued, target),
          ...mongodbAttempts(clients, target),
          ...deps.others(target),
        ];
        made.push(...(await makeAll(instance, attempts)));
      }
      return made;
    } finally {
      await issued.revoke();
    }
  },

  async recordProbe({ platform, probe, attempts }) {
    const { writer } = await deps.openTrail(platform);
    const events = [resultEvent(probe, attempts, deps.nowMs()), ...breachEvents(probe, attempts, deps.nowMs())];
    for (const result of await writer.append(events, 'platform'))
      // It was recorded by a try whose answer was lost.
      if (result.status === 'refused' && result.refusal.code !== 'ID_CONFLICT')
        throw new Error(`the result of a probe was refused: ${result.refusal.code}`);
    const summary = summaryOf(attempts);
    for (const boundary of summary.breaches) deps.onBreach(boundary);
    return summary;
  },
});

/** At random, so that whoever looks at one probe can't foresee the next. */
const drawn = async ({ clients, mayTarget = () => true }: ProbeDeps): Promise<InstanceId[]> => {
  const left = (await listInstances(clients.reader))
    .map(({ instance }) => instance)
    .filter((one) => one !== canaryInstance && mayTarget(one));
  const targets: InstanceId[] = [];
  while (left.length > 0 && targets.length < targetsMax) targets.push(...left.splice(randomInt(left.length), 1));
  return targets;
};

const shared = (probe: EventId, name: string, sequence: number, nowMs: number) => ({
  ...probeEntry(probe, name),
  correlationId: probeCorrelation(probe),
  emitter: { id: probeEmitter(probe), sequence },
  eventTime: new Date(nowMs).toISOString(),
  actor: { principal: 'platform' as PrincipalId, kind: 'platform' as const },
  system: 'trailkeeper' as const,
});

const resultEvent = (probe: EventId, attempts: readonly ProbeAttempt[], nowMs: number): EventInput => {
  const { state, breaches } = summaryOf(attempts);
  const report = { state, boundaries: [...boundaries], attempts: attempts.map((one) => ({ ...one })) };
  return {
    ...shared(probe, 'result', 2, nowMs),
    action: 'isolation.probe',
    phase: 'outcome',
    outcome: state === 'HELD' ? 'success' : state === 'BREACHED' ? 'failure' : 'unknown',
    count: attempts.length,
    fields: [...breaches],
    parametersDigest: createHash('sha256')
      .update(canonicalize(report) ?? '')
      .digest('hex'),
    ...(state === 'BREACHED' && { error: { code: 'VERIFICATION_FAILED' as const } }),
    ...(state === 'INCOMPLETE' && { error: { code: 'UNAVAILABLE' as const } }),
    parts: [{ name: probePart, content: report }],
  };
};

/** The alert: which boundary gave way, to what. */
const breachEvents = (probe: EventId, attempts: readonly ProbeAttempt[], nowMs: number): EventInput[] =>
  summaryOf(attempts).breaches.map((boundary, place) => ({
    ...shared(probe, `breach/${boundary}`, 3 + place, nowMs),
    causedBy: probeEntry(probe, 'result').id,
    action: 'isolation.breach',
    phase: 'observation',
    outcome: 'failure',
    fields: [boundary],
    error: { code: 'VERIFICATION_FAILED' },
    parts: [
      {
        name: 'breach',
        content: attempts
          .filter((one) => one.boundary === boundary && one.result === 'crossed')
          .map(({ attempt, target }) => ({ attempt, target })),
      },
    ],
  }));
