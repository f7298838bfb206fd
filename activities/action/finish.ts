/** Records how an action ended that did not get, or get any further, to the vendor. */
import { Context } from '@temporalio/activity';
import type { FinishInput } from '../../domain/action/contract.ts';
import { ActionLog } from './actionLog.ts';
import type { ActionDeps } from './deps.ts';
import { entryOf, spanOf } from './entries.ts';
import { loadIntentEntry } from './intent.ts';

export const createFinish =
  (deps: ActionDeps) =>
  async (input: FinishInput): Promise<void> => {
    const instance = await deps.open(input.instance);
    const { entry: intent } = await loadIntentEntry(instance, input);
    const { slot, causedBy, outcome, code } = input;
    const log = new ActionLog(instance.trail, Context.current().cancellationSignal);
    await log.append([
      entryOf(intent, new Date(deps.nowMs()).toISOString(), {
        ...slot,
        spanId: spanOf(slot.id),
        causedBy,
        action: intent.action,
        phase: 'outcome',
        outcome,
        system: intent.system,
        ...(intent.endpoint && { endpoint: intent.endpoint }),
        error: { code },
      }),
    ]);
  };
