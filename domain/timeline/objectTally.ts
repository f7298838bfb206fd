/** How many objects an action changed, failed to change, and never came to. */
import type { ActionRecord } from './actions.ts';

export interface ObjectTally {
  readonly succeeded: number;
  readonly failed: number;
  /** Of those that the intent speaks of: in no call, because the action ended before. 0 where that is not yet certain. */
  readonly notTried: number;
}

const final = new Set(['success', 'failure', 'denied']);

/** A call that failed as a whole failed for each of its objects; one that is still in doubt counts for none. */
export const objectTallyOf = ({ intent, attempts, outcomes, settlements }: ActionRecord): ObjectTally => {
  let succeeded = 0;
  let failed = 0;
  let tried = 0;
  const settled = settlements.at(-1)?.entry.outcome;
  for (const { attempt, outcomes: ends, objectOutcomes } of attempts) {
    const size = attempt.entry.count ?? 1;
    const last = ends.at(-1)?.entry.outcome;
    if (last === 'retry') continue;
    tried += size;
    const failures = objectOutcomes.filter(({ entry }) => entry.outcome === 'failure').length;
    const end = last !== undefined && final.has(last) ? last : settled;
    if (end === 'success') succeeded += size - failures;
    if (end === 'success') failed += failures;
    else if (end === 'failure') failed += size;
  }
  const all = [...attempts.flatMap((record) => record.outcomes), ...outcomes, ...settlements];
  const end = all.at(-1)?.entry.outcome;
  const over = end === 'failure' || end === 'denied';
  return { succeeded, failed, notTried: over ? Math.max(0, (intent?.entry.count ?? 1) - tried) : 0 };
};
