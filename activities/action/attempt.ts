/** One vendor call of an action: begins it, or finds out what became of it where an execution before this one began it. */
import { Context } from '@temporalio/activity';
import type { AttemptInput, AttemptResult } from '../../domain/action/contract.ts';
import { ActionLog } from './actionLog.ts';
import { permitId } from './attemptEntries.ts';
import { AttemptExecution } from './attemptExecution.ts';
import type { ActionDeps, ActionInstance } from './deps.ts';
import { entryOf, newSpan } from './entries.ts';
import { loadIntentEntry, type Refusal } from './intent.ts';
import { prepare } from './prepare.ts';

export const createAttempt =
  (deps: ActionDeps) =>
  async (input: AttemptInput): Promise<AttemptResult> => {
    const instance = await deps.open(input.instance);
    const prepared = await prepare(deps, instance, input);
    const { cancellationSignal, info } = Context.current();
    const log = new ActionLog(instance.trail, cancellationSignal);
    const resuming = input.resuming || info.attempt > 1;
    if ('refusal' in prepared) {
      const begun = resuming && (await log.find(input.slot.id));
      return begun ? doubtAfterRefusal(deps, instance, log, input) : refusal(prepared.refusal);
    }
    const step = prepared.steps[input.step];
    if (step === undefined) return refusal({ outcome: 'failure', code: 'INTERNAL' });
    const execution = new AttemptExecution(deps, instance, prepared, step, input, log, cancellationSignal);
    const permitted = resuming && (await log.find(permitId(input.slot.id, step)));
    return permitted ? execution.recover() : execution.begin();
  };

const refusal = ({ outcome, code }: Refusal): AttemptResult => ({ kind: 'refused', outcome, code });

/** The tool, its connection or the parameters are gone after an earlier execution began: only a person can tell. */
const doubtAfterRefusal = async (
  deps: ActionDeps,
  instance: ActionInstance,
  log: ActionLog,
  input: AttemptInput,
): Promise<AttemptResult> => {
  const { entry: intent } = await loadIntentEntry(instance, input);
  const attempt = await log.standing(input.slot.id);
  const sequence = input.slot.sequence + 1 + (attempt.entry.count ?? 0);
  const [placed] = await log.append([
    entryOf(intent, new Date(deps.nowMs()).toISOString(), {
      id: input.outcomeId,
      sequence,
      spanId: newSpan(),
      causedBy: input.slot.id,
      action: intent.action,
      phase: 'outcome',
      outcome: 'unknown',
      attempt: input.attempt,
      system: intent.system,
      error: { code: 'TIMEOUT' },
    }),
  ]);
  const { entry } = placed?.placing === 'ours' ? { entry: undefined } : await log.standing(input.outcomeId);
  const outcome = (entry?.outcome ?? 'unknown') as 'unknown';
  const succeeded = entry?.outcome === 'success' ? Math.max(1, entry.count ?? 1) : 0;
  return {
    kind: 'recorded',
    outcome,
    entry: input.outcomeId,
    objects: { succeeded, failed: 0 },
    settleAfterMs: -1,
    verifiable: false,
    sequence: sequence + 1 + (entry?.count ?? 0),
  };
};
