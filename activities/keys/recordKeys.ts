/** The entries of a rotation. A second execution finds what the first one wrote, by its id. */
import { Context } from '@temporalio/activity';
import { spanOf } from '../../domain/action/entryIds.ts';
import { keyFailures, type KeyActivities, type KeyEntrySlot } from '../../domain/keys/contract.ts';
import type { EventInput } from '../../schema/event.ts';
import type { CorrelationId } from '../../schema/ids.ts';
import { ActionLog } from '../action/actionLog.ts';
import { platformActor } from '../action/entries.ts';
import { FinalFailure } from '../failures.ts';
import type { KeyDeps, KeyInstance } from './deps.ts';

const appliedMs = 30_000;

const base = ({ rotation, id, sequence, nowMs, causedBy }: KeyEntrySlot) => ({
  id,
  correlationId: rotation.replaceAll('-', '') as CorrelationId,
  spanId: spanOf(id),
  emitter: { id: `platform/keys/${rotation}`, sequence },
  eventTime: new Date(nowMs).toISOString(),
  system: 'trailkeeper' as const,
  ...(causedBy && { causedBy }),
});

/** The index of the entry, also where an earlier execution wrote it. */
export const appendKeyEntry = async ({ trail }: KeyInstance, event: EventInput): Promise<number> => {
  const log = new ActionLog(trail, Context.current().cancellationSignal);
  const [placed] = await log.append([event]);
  return placed!.index ?? (await log.standing(event.id)).index;
};

export const createChangeKey =
  ({ open }: KeyDeps): KeyActivities['changeKey'] =>
  async ({ instance, slot, change, by }) => {
    const opened = await open(instance);
    const index = await appendKeyEntry(opened, {
      ...base(slot),
      actor: by,
      action: change.change,
      phase: 'outcome',
      outcome: 'success',
      control: change,
    });
    await opened.control.waitApplied(index, appliedMs);
    if (await opened.control.voidReason(index)) throw new FinalFailure(keyFailures.void);
    return { index };
  };

/** The id of the key is the resource's; what became of it is in the part `key`. */
export const createRecordKeyOutcome =
  ({ open }: KeyDeps): KeyActivities['recordKeyOutcome'] =>
  async ({ instance, slot, key, outcome, detail }) => {
    const index = await appendKeyEntry(await open(instance), {
      ...base(slot),
      actor: platformActor,
      action: 'key.outcome',
      phase: 'outcome',
      outcome,
      ...(outcome === 'failure' && { error: { code: 'VERIFICATION_FAILED' as const } }),
      resource: { kind: 'key', id: key },
      parts: [{ name: 'key', content: { key, ...detail } }],
    });
    return { index };
  };
