/** Records what a person found out about a call of unknown result. */
import { Context } from '@temporalio/activity';
import type { RecordSettlementInput } from '../../domain/action/contract.ts';
import { ActionLog } from './actionLog.ts';
import type { ActionDeps } from './deps.ts';
import { entryOf, spanOf } from './entries.ts';
import { loadIntentEntry } from './intent.ts';

export const createRecordSettlement =
  (deps: ActionDeps) =>
  async (input: RecordSettlementInput): Promise<void> => {
    const instance = await deps.open(input.instance);
    const { entry: intent } = await loadIntentEntry(instance, input);
    const { slot, settlement } = input;
    const log = new ActionLog(instance.trail, Context.current().cancellationSignal);
    await log.append([
      entryOf(intent, new Date(deps.nowMs()).toISOString(), {
        ...slot,
        spanId: spanOf(slot.id),
        causedBy: settlement.entry,
        action: 'action.settle',
        phase: 'outcome',
        outcome: settlement.outcome,
        system: intent.system,
        actor: { principal: settlement.by, kind: settlement.kind },
      }),
    ]);
  };
