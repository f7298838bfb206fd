/** Takes the repair of one projection a step further. */
import { Context } from '@temporalio/activity';
import type { RepairStageInput, RepairStageResult, StageCursor } from '../../domain/verification/contract.ts';
import { repairEmitters } from '../../trail/verification/repair-emitters.ts';
import { repairRows, removeForgedRows } from '../../trail/verification/repair-rows.ts';
import { repairTiles } from '../../trail/verification/repair-tiles.ts';
import type { VerificationDeps } from './deps.ts';

const segmentsPerStep = 100;
const tilesPerStep = 200;
const emittersPerStep = 500;

export const createRepairStage =
  ({ open, projector }: VerificationDeps) =>
  async ({ instance, stage, size, cursor }: RepairStageInput): Promise<RepairStageResult> => {
    const { log } = await open(instance);
    const mending = { log, projector, signal: Context.current().cancellationSignal };
    switch (stage) {
      case 'index': {
        const { next, mended } = await repairRows(mending, {
          from: Number(cursor?.['from'] ?? 0),
          size,
          segmentsPerStep,
        });
        if (next !== undefined) return step({ from: next }, mended);
        return step(undefined, mended + (await removeForgedRows(mending, size)));
      }
      case 'tiles': {
        const from = { level: Number(cursor?.['level'] ?? 0), index: Number(cursor?.['index'] ?? 0) };
        const { next, mended } = await repairTiles(mending, { from, size, tilesPerStep });
        return step(next && { ...next }, mended);
      }
      case 'emitters': {
        const after = cursor?.['after'];
        const { next, mended } = await repairEmitters(mending, {
          after: typeof after === 'string' ? after : undefined,
          emittersPerStep,
        });
        return step(next === undefined ? undefined : { after: next }, mended);
      }
    }
    return stage satisfies never;
  };

const step = (cursor: StageCursor | undefined, mended: number): RepairStageResult => ({
  mended,
  ...(cursor && { cursor }),
});
