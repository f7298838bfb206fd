/** Records how a check, and a repair, begins and ends. A second execution finds what the first one wrote. */
import { Context } from '@temporalio/activity';
import type {
  BeginCheckInput,
  CheckPlan,
  FinishCheckInput,
  FinishedCheck,
  RecordRepairInput,
} from '../../domain/verification/contract.ts';
import type { EventInput } from '../../schema/event.ts';
import { anchoredSize } from '../../trail/verification/signed-roots.ts';
import { ActionLog } from '../action/actionLog.ts';
import type { VerificationDeps, VerificationInstance } from './deps.ts';
import { endOfCheck, intentOfCheck, repairEntry } from './entries.ts';

const append = async ({ trail }: VerificationInstance, events: readonly EventInput[]): Promise<number[]> => {
  const log = new ActionLog(trail, Context.current().cancellationSignal);
  const placed = await log.append(events);
  const indexes: number[] = [];
  for (const [position, { index }] of placed.entries())
    indexes.push(index ?? (await log.standing(events[position]!.id)).index);
  return indexes;
};

export const createBeginCheck =
  ({ open, rates }: VerificationDeps) =>
  async (input: BeginCheckInput): Promise<CheckPlan> => {
    const instance = await open(input.instance);
    const size = await anchoredSize(instance.log);
    await append(instance, [intentOfCheck(input, size)]);
    return { size, rates };
  };

export const createFinishCheck =
  ({ open }: VerificationDeps) =>
  async (input: FinishCheckInput): Promise<FinishedCheck> => {
    const indexes = await append(await open(input.instance), endOfCheck(input));
    return { index: indexes.at(-1)! };
  };

export const createRecordRepair =
  ({ open }: VerificationDeps) =>
  async (input: RecordRepairInput): Promise<{ size: number }> => {
    const instance = await open(input.instance);
    const size = await anchoredSize(instance.log);
    await append(instance, [repairEntry(input, size)]);
    return { size };
  };
