/** Takes the repair of one projection a step further. */
import { Context } from '@temporalio/activity';
import type { Mended, RepairStageInput, RepairStageResult, StageCursor } from '../../domain/verification/contract.ts';
import { emptyStanding } from '../../domain/verification/segment.ts';
import { repairEmitters } from '../../trail/verification/repair-emitters.ts';
import { removeForgedRows, repairStretch } from '../../trail/verification/repair-record-projections.ts';
import { repairTiles } from '../../trail/verification/repair-tiles.ts';
import { cursorOf, standingOf } from './cursors.ts';
import type { VerificationDeps } from './deps.ts';

const entriesPerStep = 5000;
const tilesPerStep = 200;
const emittersPerStep = 500;

export const createRepairStage =
  ({ open, projector }: VerificationDeps) =>
  async ({ instance, stage, size, cursor }: RepairStageInput): Promise<RepairStageResult> => {
    const { log } = await open(instance);
    const mending = { log, projector, signal: Context.current().cancellationSignal };
    switch (stage) {
      case 'index': {
        // Rows and tiles of leaves are mended along the same walk.
        const { standing, rows, tiles } = await repairStretch(mending, {
          standing: cursor ? standingOf(cursor) : emptyStanding,
          size,
          entriesMax: entriesPerStep,
        });
        if (standing.size < size) return step(cursorOf(standing), { index: rows, tiles });
        return step(undefined, { index: rows + (await removeForgedRows(mending, size)), tiles });
      }
      case 'tiles': {
        const from = { level: Number(cursor?.['level'] ?? 1), index: Number(cursor?.['index'] ?? 0) };
        const { next, mended } = await repairTiles(mending, { from, size, tilesPerStep });
        return step(next && { ...next }, { tiles: mended });
      }
      case 'emitters': {
        const after = cursor?.['after'];
        const { next, mended } = await repairEmitters(mending, {
          after: typeof after === 'string' ? after : undefined,
          emittersPerStep,
        });
        return step(next === undefined ? undefined : { after: next }, { emitters: mended });
      }
    }
    return stage satisfies never;
  };

const step = (cursor: StageCursor | undefined, mended: Partial<Mended>): RepairStageResult => ({
  mended,
  ...(cursor && { cursor }),
});
