import type { AttemptResult, Boundary, ProbeAttempt } from '../../domain/isolation/contract.ts';
import type { InstanceId } from '../../schema/ids.ts';

export interface Attempt {
  readonly boundary: Boundary;
  readonly attempt: string;
  /** Tries it. Throws where it could not be tried at all. */
  readonly make: () => Promise<Exclude<AttemptResult, 'unable'>>;
}

/** One after the other: the probe must not be a load. */
export const makeAll = async (target: InstanceId, attempts: readonly Attempt[]): Promise<ProbeAttempt[]> => {
  const made: ProbeAttempt[] = [];
  for (const { boundary, attempt, make } of attempts) {
    const result = await make().catch((): AttemptResult => 'unable');
    made.push({ boundary, attempt, target, result });
  }
  return made;
};
