/** Looks in the target whether a call of unknown result took effect. Reads only; a further outcome is appended if certain. */
import { Context } from '@temporalio/activity';
import type { SettleByReadingInput, SettleByReadingResult } from '../../domain/action/contract.ts';
import { actionEmitter } from '../../domain/action/entryIds.ts';
import type { ErrorCode } from '../../schema/taxonomy.ts';
import { ConnectorError, type Settlement } from '../connectors/connector.ts';
import { ActionLog } from './actionLog.ts';
import { callContext } from './callContext.ts';
import type { ActionDeps } from './deps.ts';
import { outcomeGroup, recordedOutcome, type CallEnd } from './outcomeEntries.ts';
import { prepare } from './prepare.ts';
import { valuesBefore } from './recordedCall.ts';

export const createSettleByReading =
  (deps: ActionDeps) =>
  async (input: SettleByReadingInput): Promise<SettleByReadingResult> => {
    const instance = await deps.open(input.instance);
    const prepared = await prepare(deps, instance, input);
    const { cancellationSignal, info } = Context.current();
    const log = new ActionLog(instance.trail, cancellationSignal);
    const step = 'refusal' in prepared ? undefined : prepared.steps[input.step];
    if ('refusal' in prepared || step?.items === undefined || prepared.tool.settle === undefined)
      return { kind: 'undetermined' };
    await log.standing(input.unknown);
    const entries = await log.ofEmitter(actionEmitter(input.intent));
    const find = (id: string) => entries.find(({ entry }) => entry.id === id)?.entry;
    const fromLog = (entry: NonNullable<ReturnType<typeof find>>): SettleByReadingResult =>
      recordedOutcome(
        prepared,
        step,
        entry,
        entries.map((event) => event.entry).filter(({ batch }) => batch?.parent === entry.id),
      );
    const standing = info.attempt > 1 ? find(input.slot.id) : undefined;
    if (standing) return fromLog(standing);
    const attempt = find(input.attempt)!;
    const before = await valuesBefore(instance, entries, input.attempt, step);
    if (before === 'erased') return { kind: 'undetermined' };
    let settlement: Settlement;
    try {
      const context = await callContext(instance, prepared, {
        actionId: input.intent,
        step: input.step,
        spanId: attempt.spanId,
        timeoutMs: input.durations.callMs,
        signal: AbortSignal.timeout(2 * input.durations.callMs),
      });
      settlement = await prepared.tool.settle(context, step, before);
    } catch (error) {
      if (!(error instanceof ConnectorError)) throw error;
      return { kind: 'undetermined' };
    }
    const end = endOf(settlement, find(input.unknown)?.error?.code);
    if (end === undefined) return { kind: 'undetermined' };
    const { events, recorded } = outcomeGroup(
      prepared,
      { id: input.attempt, number: attempt.attempt ?? 1, spanId: attempt.spanId, step },
      input.slot,
      new Date(deps.nowMs()).toISOString(),
      end,
      input.unknown,
    );
    const [placed] = await log.append(events);
    return placed?.placing === 'ours'
      ? { ...recorded, index: placed.index! }
      : fromLog((await log.standing(input.slot.id)).entry);
  };

/** `not-applied` is final: a call whose result was unknown is never made again. */
const endOf = (settlement: Settlement, code: ErrorCode | undefined): CallEnd | undefined => {
  if (settlement.state === 'undetermined') return undefined;
  return settlement.state === 'applied'
    ? { kind: 'answered', result: settlement.result }
    : { kind: 'failed', outcome: 'failure', code: code ?? 'TIMEOUT' };
};
