/** Takes one stage of a check a step further, no faster than the plan allows. */
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type {
  CheckPlan,
  CheckStageInput,
  CheckStageResult,
  Looked,
  StageCursor,
} from '../../domain/verification/contract.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { added, lookedAtNothing } from '../../domain/verification/looked.ts';
import { sampledIndexes } from '../../domain/verification/sample.ts';
import { emptyStanding } from '../../domain/verification/segment.ts';
import { emptyTally, tallied } from '../../domain/verification/tally.ts';
import { checkArchive, checkNewestArchived } from '../../trail/verification/archive-check.ts';
import { walkEmitters } from '../../trail/verification/emitters-check.ts';
import { findOutside } from '../../trail/verification/outside-log.ts';
import { walkRecord } from '../../trail/verification/record-walk.ts';
import { checkSampled, checkServedTiles } from '../../trail/verification/sample-check.ts';
import { walkTiles } from '../../trail/verification/tiles-check.ts';
import { walkWitnesses } from '../../trail/verification/witness-check.ts';
import type { VerifiedLog } from '../../trail/verification/verified-log.ts';
import { cursorOf, standingOf } from './cursors.ts';
import type { VerificationDeps, VerificationInstance } from './deps.ts';

const entriesPerStep = 5000;
const tilesPerStep = 200;
const emittersPerStep = 500;
const cosignaturesPerStep = 1000;

interface Step {
  readonly cursor?: StageCursor;
  readonly looked: Looked;
  readonly differences: readonly Difference[];
}

const nothing: Step = { looked: lookedAtNothing, differences: [] };

export const createCheckStage =
  ({ open }: VerificationDeps) =>
  async (input: CheckStageInput): Promise<CheckStageResult> => {
    const { cancellationSignal: signal } = Context.current();
    const beganMs = performance.now();
    const instance = await open(input.instance);
    const { cursor, looked, differences } = await stepOf(instance, input, signal);
    await pace(input.plan, looked, performance.now() - beganMs, signal);
    return { looked, found: tallied(emptyTally, differences), ...(cursor && { cursor }) };
  };

const stepOf = async (
  { log, archive }: VerificationInstance,
  input: CheckStageInput,
  signal: AbortSignal,
): Promise<Step> => {
  switch (input.stage) {
    case 'record':
      return input.kind === 'full' ? wholeRecord(log, input, signal) : sampledRecord(log, input, signal);
    case 'outside':
      return findOutside(log, input.plan.size);
    case 'tiles':
      return input.kind === 'full' ? allTiles(log, input, signal) : servedTiles(log, input);
    case 'emitters':
      return input.kind === 'full' ? allEmitters(log, input, signal) : nothing;
    case 'archive':
      if (!archive) return nothing;
      return input.kind === 'full' ? checkArchive(log, archive, signal) : checkNewestArchived(log, archive);
    case 'witness':
      return witnessed(log, input);
  }
  return input.stage satisfies never;
};

const wholeRecord = async (log: VerifiedLog, { cursor, plan }: CheckStageInput, signal: AbortSignal): Promise<Step> => {
  const { standing, looked, differences } = await walkRecord(log, {
    standing: cursor ? standingOf(cursor) : emptyStanding,
    to: plan.size,
    entriesMax: entriesPerStep,
    signal,
  });
  return { looked, differences, ...(standing.size < plan.size && { cursor: cursorOf(standing) }) };
};

const sampledRecord = async (
  log: VerifiedLog,
  { cursor, plan, seed }: CheckStageInput,
  signal: AbortSignal,
): Promise<Step> => {
  // The right edge always: what comes next rests on it.
  const indexes = [
    ...new Set([...sampledIndexes(seed, plan.size, plan.rates.sampledEntries), Math.max(0, plan.size - 1)]),
  ];
  const differences: Difference[] = [];
  let looked = lookedAtNothing;
  let walkedTo = Number(cursor?.['walkedTo'] ?? 0);
  for (let position = Number(cursor?.['position'] ?? 0); position < indexes.length; position += 1) {
    if (looked.entries >= entriesPerStep) return { cursor: { position, walkedTo }, looked, differences };
    const index = indexes[position]!;
    if (index < walkedTo) continue;
    const walked = await checkSampled(log, { index, size: plan.size, signal });
    walkedTo = walked.standing.size;
    looked = added(looked, walked.looked);
    differences.push(...walked.differences);
  }
  return { looked, differences };
};

const allTiles = async (log: VerifiedLog, { cursor, plan }: CheckStageInput, signal: AbortSignal): Promise<Step> => {
  const { next, looked, differences } = await walkTiles(log, {
    from: { level: Number(cursor?.['level'] ?? 1), index: Number(cursor?.['index'] ?? 0) },
    size: plan.size,
    tilesMax: tilesPerStep,
    signal,
  });
  return { looked, differences, ...(next && { cursor: { ...next } }) };
};

const servedTiles = (log: VerifiedLog, { plan, seed }: CheckStageInput): Promise<Step> =>
  checkServedTiles(log, { indexes: sampledIndexes(seed, plan.size, plan.rates.sampledEntries), size: plan.size });

const allEmitters = async (log: VerifiedLog, { cursor }: CheckStageInput, signal: AbortSignal): Promise<Step> => {
  const after = cursor?.['after'];
  const { next, looked, differences } = await walkEmitters(log, {
    after: typeof after === 'string' ? after : undefined,
    emittersMax: emittersPerStep,
    signal,
  });
  return { looked, differences, ...(next !== undefined && { cursor: { after: next } }) };
};

const witnessed = async (log: VerifiedLog, { cursor, plan }: CheckStageInput): Promise<Step> => {
  const after = cursor?.['after'];
  const { next, looked, differences } = await walkWitnesses(log, {
    after: typeof after === 'string' ? after : undefined,
    size: plan.size,
    cosignaturesMax: cosignaturesPerStep,
  });
  return { looked, differences, ...(next !== undefined && { cursor: { after: next } }) };
};

const pace = async ({ rates }: CheckPlan, looked: Looked, tookMs: number, signal: AbortSignal): Promise<void> => {
  if (rates.entriesPerSecond <= 0) return;
  const restMs = (looked.entries / rates.entriesPerSecond) * 1000 - tookMs;
  if (restMs > 0) await delay(restMs, undefined, { signal });
};
